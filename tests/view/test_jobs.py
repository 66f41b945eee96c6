"""Fine-tuning jobs in the list: what their store says of them, whoever wrote the store."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from graders_engine.jobs.events import metrics_event, plan_event
from graders_engine.settings import EngineSettings
from graders_engine.storage import unopened
from graders_engine.storage.job_records import StoredCheckpoint
from graders_engine.storage.jobs import StoredJob
from graders_engine.storage.listed_jobs import POINTS, listed_jobs
from graders_engine.storage.store import Store
from graders_engine.training.trainer import Plan, StepReport
from graders_engine.view.app import view_of_store
from graders_engine.view.context import Request
from graders_engine.view.folders.jobs import MAX_JOBS
from tests.jobs.made import STEPS, Bench
from tests.view.asking import Page
from tests.view.test_runs import copy_run, listed

ROOT = Path(__file__).parents[2]
REQUEST = {"model": "tiny", "suffix": "mine", "method": {"type": "reinforcement"}}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "jobs") as store:
        yield store


def add_job(
    store: Store, name: str, status: str = "running", project: str = "default", **more: Any
) -> str:
    given = {"request": REQUEST, "spec": {}, "created_at": 1_700_000_000, **more}
    job = StoredJob(id=f"ftjob-{name}", project=project, status=status, **given)
    assert store.jobs.add(job)
    return job.id


def add_steps(store: Store, job_id: str, rewards: list[float | None], of: int) -> None:
    """The events of a job's first steps; a reward of None is one that no answer got."""
    for step, reward in enumerate(rewards, 1):
        train = {} if reward is None else {"reward_mean": reward}
        event = metrics_event("reinforcement", of, StepReport(step, train, {}, step, {}))
        store.jobs.add_event(job_id, event.level, event.message, event.data, "metrics", step)


def jobs_of(store: Store, project: str = "default") -> dict[str, dict[str, Any]]:
    """The jobs that a server lists, by name."""
    view = view_of_store(store, EngineSettings())
    listed = view.source(Request(project, {})).listing()["jobs"]
    return {job["name"] or job["id"]: job for job in json.loads(json.dumps(listed))}


def test_each_project_sees_its_own_jobs_only(store: Store) -> None:
    for project in ("default", "other"):
        request = {**REQUEST, "suffix": f"of {project}"}
        job_id = add_job(store, project, project=project, request=request)
        add_steps(store, job_id, [0.5 if project == "default" else 0.25], 4)
    (own,), (other,) = (jobs_of(store, name).values() for name in ("default", "other"))
    assert (own["name"], own["train"]) == ("of default", 0.5)
    assert (other["name"], other["train"]) == ("of other", 0.25)
    assert jobs_of(store, "none") == {}
    answer = Page(view=view_of_store(store, EngineSettings())).json("runs")
    assert [job["id"] for job in answer["jobs"]] == ["ftjob-default"]


def test_a_job_has_the_numbers_of_its_result_file_on_a_server_and_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # of the worker, whose trainer is among the tests
    bench = Bench(tmp_path / "jobs")
    with bench.store as store:
        made = bench.job_of(bench.job())
        assert store.jobs.delete("default", made.id)
        job_id = "ftjob-whole"
        assert store.jobs.add(
            replace(made, id=job_id, request=REQUEST, spec={**made.spec, "id": job_id})
        )
        done = bench.finish(job_id)
        assert (done.status, done.error) == ("succeeded", None)
        lines = list(csv.DictReader(bench.result(job_id, "step_metrics.csv").decode().splitlines()))
        (job,) = jobs_of(store).values()
        assert Page(tmp_path).json("runs")["jobs"] == [job]
    assert job == {
        "id": job_id,
        "name": "mine",
        "model": "tiny",
        "method": "reinforcement",
        "status": "succeeded",
        "is_going": False,
        "error": "",
        "metric": "reward",
        "step": STEPS,
        "of": STEPS,
        "train": float(lines[-1]["train_reward"]),
        "valid": [STEPS, float(lines[-1]["valid_reward"])],
        "points": [[int(line["step"]), float(line["train_reward"])] for line in lines],
        "tuned": done.fine_tuned_model,
        "when": "1970-01-01T00:00:01+00:00",
    }


def test_a_long_job_has_some_points_with_the_first_and_the_last_and_any_validation(
    store: Store,
) -> None:
    job_id = add_job(store, "long")
    steps = 3 * POINTS + 7
    add_steps(store, job_id, [step / steps for step in range(1, steps + 1)], 1000)
    job = jobs_of(store)["mine"]
    picked = [step for step, _ in job["points"]]
    assert len(picked) == POINTS
    assert (picked[0], picked[-1]) == (1, steps)
    assert {later - step for step, later in pairwise(picked)} == {3, 4}
    assert [value for _, value in job["points"]] == [step / steps for step in picked]
    assert (job["step"], job["of"], job["train"], job["valid"]) == (steps, 1000, 1.0, None)
    validated = next(step for step in range(300, 400) if step not in picked)
    for step, metrics in ((validated, {"valid_reward_mean": 0.125}), (steps, {})):
        kept = StoredCheckpoint(job_id, step, f"m{step}", f"step-{step}", "", metrics)
        assert store.jobs.add_checkpoint(kept)
    assert jobs_of(store)["mine"]["valid"] == [validated, 0.125]


def test_a_job_with_more_steps_takes_no_more_work_to_list(store: Store) -> None:
    def work(job_id: str, steps: int) -> int:
        """Instructions of the database, in hundreds, for a list with one job of so many steps."""
        add_job(store, job_id, project=job_id)
        with closing(sqlite3.connect(store.folder / "store.sqlite3")) as file, file:
            file.executemany(
                "INSERT INTO event (id, job_id, level, type, message, data, step, created_at) "
                "VALUES (?, ?, 'info', 'metrics', '', '{\"train_reward_mean\": 1}', ?, 1)",
                ((f"{job_id} {n}", f"ftjob-{job_id}", n) for n in range(1, steps + 1)),
            )
            calls: list[None] = []
            file.set_progress_handler(lambda: calls.append(None), 100)
            (job,) = listed_jobs(file, 10, job_id)
        assert (len(job.points), job.points[-1].step) == (POINTS, steps)
        return len(calls)

    few, many = work("few", POINTS), work("many", 100 * POINTS)
    assert 0 < many < 1.2 * few


@pytest.mark.parametrize("method", [None, {"type": "supervised"}, {"type": "dpo"}])
def test_a_job_of_another_method_has_losses(method: dict[str, str] | None, store: Store) -> None:
    job_id = add_job(store, "loss", request={"model": "tiny", "method": method})
    for step, valid in ((1, {"loss": 1.5}), (2, {})):
        report = StepReport(step, {"loss": 2.0 / step, "token_accuracy": 0.5}, valid, step, {})
        event = metrics_event("supervised", 2, report)
        store.jobs.add_event(job_id, event.level, event.message, event.data, "metrics", step)
    job = jobs_of(store)[job_id]
    assert (job["metric"], job["train"], job["valid"]) == ("loss", 1.0, [1, 1.5])
    assert job["points"] == [[1, 2.0], [2, 1.0]]
    assert job["method"] == (method or {"type": "supervised"})["type"]


def test_a_step_without_a_reward_has_none_and_no_zero(store: Store) -> None:
    add_steps(store, add_job(store, "gap"), [0.5, None, 0.25, None], 4)
    job = jobs_of(store)["mine"]
    assert job["points"] == [[1, 0.5], [2, None], [3, 0.25], [4, None]]
    assert job["train"] is None


def test_a_job_before_its_first_step_has_its_steps_from_its_plan(store: Store) -> None:
    job_id = add_job(store, "new", "queued")
    assert jobs_of(store)["mine"]["of"] is None
    plan = plan_event(Plan(30, 4, "cpu", 1, rollouts_per_step=4))
    store.jobs.add_event(job_id, plan.level, plan.message, plan.data, once=plan.once)
    job = jobs_of(store)["mine"]
    assert (job["step"], job["of"], job["points"], job["is_going"]) == (0, 30, [], True)


def test_a_failed_job_says_why_without_folders_of_the_machine(store: Store) -> None:
    error = {"code": "x", "message": f"{store.folder}/files/x is damaged.", "param": None}
    add_job(store, "bad", "failed", error=error)
    assert jobs_of(store)["mine"]["error"] == "x is damaged."


def test_only_the_newest_jobs_are_listed_and_that_there_are_others(store: Store) -> None:
    page = Page(view=view_of_store(store, EngineSettings()))
    for number in range(MAX_JOBS + 1):
        add_job(store, f"{number:03}")
        assert page.json("runs")["more_jobs"] is (number == MAX_JOBS)
    answer = page.json("runs")
    assert [job["id"] for job in answer["jobs"]] == [
        f"ftjob-{number:03}" for number in range(MAX_JOBS, 0, -1)
    ]
    assert answer["more_jobs"]


TABLES = """
CREATE TABLE job (seq, id, status, created_at, request, error, fine_tuned_model);
CREATE TABLE event (seq, job_id, type, step, data, once);
CREATE TABLE checkpoint (job_id, step, metrics);
INSERT INTO job VALUES (1, 'ftjob-1', x'ff00', 1 << 62, '[[', '{"message": [1]}', 7);
INSERT INTO job VALUES (2, '../../run', '', 1, '{}', NULL, NULL);
INSERT INTO event VALUES (1, 'ftjob-1', 'metrics', 1, '{"train_loss": "x", "total_steps": -1}', NULL);
INSERT INTO event VALUES (2, 'ftjob-1', 'metrics', 2, '{"train_loss": 1e999, "valid_loss": 1}', NULL);
INSERT INTO event VALUES (3, 'ftjob-1', 'metrics', 3, '{{', NULL);
"""
ENDLESS = """
CREATE TABLE job (seq, id, status, created_at, request, error, fine_tuned_model);
INSERT INTO job VALUES (1, 'ftjob-1', '', 1, '{}', NULL, NULL);
CREATE VIEW event AS WITH RECURSIVE n(step) AS (SELECT 1 UNION ALL SELECT step + 1 FROM n)
    SELECT step AS seq, 'ftjob-1' AS job_id, 'metrics' AS type, step, '{}' AS data, NULL AS once FROM n;
CREATE TABLE checkpoint (job_id, step, metrics);
"""


@pytest.mark.parametrize(
    ("script", "jobs"),
    [(TABLES, ["ftjob-1"]), (ENDLESS, []), ("CREATE TABLE job (id);", [])],
    ids=["values of other types", "a query without end", "other columns"],
)
def test_jobs_that_somebody_made_up_keep_no_run_from_the_list(
    script: str, jobs: list[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unopened, "MAX_S", 0.1)
    copy_run(folder, tmp_path / "runs" / "run" / "results.jsonl")
    with closing(sqlite3.connect(tmp_path / "store.sqlite3")) as file, file:
        file.executescript(script)
    page = Page(tmp_path)
    assert set(listed(page)) == {"runs/run/results.jsonl"}
    found = page.json("runs")["jobs"]
    assert [job["id"] for job in found] == jobs
    for job in found:
        assert job["points"] == [[1, None], [2, None], [3, None]]
        assert (job["valid"], job["of"], job["when"]) == ([2, 1], None, None)
