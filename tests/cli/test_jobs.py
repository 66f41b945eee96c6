"""`graders jobs` works on a folder of jobs, whether a server has it or not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graders_engine.cli.jobs.text import bars, checkpoint_lines, curve_lines, job_table
from graders_engine.report.terminal.screen import Screen
from graders_engine.storage.job_records import StoredCheckpoint
from graders_engine.storage.jobs import StoredJob
from tests import forked
from tests.cli.test_help import help_of
from tests.jobs.made import Bench
from tests.jobs.models import make_model
from tests.jobs.stores import add_job, body_of
from tests.server.jobs_of import client_of, job_body, jobs_server, until

ROOT = Path(__file__).parents[2]
STEPS = 6


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A store with a job that has succeeded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))  # of the worker, whose trainer is among the tests
        bench = Bench(tmp_path_factory.mktemp("cli") / "store")
        job_id = bench.job(steps=STEPS)
        assert bench.finish(job_id).status == "succeeded"
        yield bench
        bench.store.close()


@pytest.fixture(scope="module")
def done(made: Bench) -> StoredJob:
    (state,) = made.store.jobs.states("succeeded")
    return made.job_of(state.id)


def run(folder: Path, *arguments: str, code: int = 0) -> str:
    """What `graders jobs` prints; on standard error, where it fails."""
    ended = forked.graders(
        *("jobs", *arguments, "--jobs", str(folder)), folder=folder.parent,
        environment={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    assert ended.returncode == code, ended.stderr + ended.stdout
    return ended.stderr if code else ended.stdout


def test_a_list_has_a_line_for_each_job(made: Bench, done: StoredJob) -> None:
    lines = run(made.folder, "list").splitlines()
    assert any(line.startswith(f"{done.id}  succeeded") and line.endswith("tiny") for line in lines)
    listed = json.loads(run(made.folder, "list", "--json"))
    assert done.id in [job["id"] for job in listed["jobs"]]
    assert not listed["has_more"]
    assert "There are no jobs of the project other" in run(
        made.folder, "list", "--project", "other"
    )


def test_a_job_is_shown_with_its_curve_checkpoints_and_last_events(
    made: Bench, done: StoredJob
) -> None:
    shown = run(made.folder, "show", done.id[:12])
    assert done.fine_tuned_model is not None
    for words in (
        f"{done.id}  succeeded", done.fine_tuned_model, "curve", "checkpoints",
        f"step {STEPS}  {done.fine_tuned_model}:ckpt-step-{STEPS}", "last events", "→",
    ):  # fmt: skip
        assert words in shown
    whole = json.loads(run(made.folder, "show", done.id, "--json"))
    assert whole["id"] == done.id
    assert [one["step_number"] for one in whole["checkpoints"]] == [
        one.step for one in made.checkpoints(done.id)
    ]


def test_events_are_printed_oldest_first_and_followed_to_the_end(
    made: Bench, done: StoredJob
) -> None:
    wanted = [event.message for event in made.events(done.id)]
    for more in ((), ("--follow",)):
        printed = run(made.folder, "events", done.id, *more).splitlines()
        assert [line.split("  ", 2)[2].strip() for line in printed] == wanted
    objects = [
        json.loads(line) for line in run(made.folder, "events", done.id, "--json").splitlines()
    ]
    assert [one["message"] for one in objects] == wanted
    assert {one["object"] for one in objects} == {"fine_tuning.job.event"}


def test_events_are_followed_while_they_come(made: Bench) -> None:
    job_id = made.job({"3": "stall"}, steps=4)
    command = [
        sys.executable, "-m", "graders_engine", "jobs", "events", job_id, "--follow",
        "--jobs", str(made.folder),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        made.store.jobs.add_event(job_id, "info", "first")
        assert following.stdout.readline().endswith("first\n")
        made.store.jobs.add_event(job_id, "warn", "second")
        assert following.stdout.readline().endswith("second\n")
        run(made.folder, "cancel", job_id)
        assert following.stdout.readline().endswith("The job is cancelled.\n")
        assert following.wait(60) == 0


def test_a_job_is_paused_resumed_and_cancelled_without_a_server(made: Bench) -> None:
    job_id = made.job()
    assert f"{job_id} is paused." in run(made.folder, "pause", job_id)
    assert "The job is paused" not in run(made.folder, "resume", job_id)
    assert made.job_of(job_id).status == "queued"
    again = run(made.folder, "resume", job_id, code=2)
    assert f"The job {job_id} is queued: only a paused job can be resumed." in again
    run(made.folder, "pause", job_id)
    assert "the next `graders serve --jobs" in run(made.folder, "resume", job_id)
    assert f"{job_id} is cancelled." in run(made.folder, "cancel", job_id)
    assert "it has ended" in run(made.folder, "cancel", job_id, code=2)


def test_the_weights_are_exported_to_a_new_folder(made: Bench, done: StoredJob) -> None:
    target = made.folder.parent / "exported"
    printed = run(made.folder, "export", done.id, str(target))
    assert f"{done.fine_tuned_model}:ckpt-step-{STEPS} is in {target}" in printed
    kept = made.checkpoints(done.id)[-1]
    weights = made.place(done.id) / kept.folder / "model" / "weights"
    assert (target / "weights").read_bytes() == weights.read_bytes()
    assert "exists already" in run(made.folder, "export", done.id, str(target), code=2)
    earlier = made.folder.parent / "earlier"
    run(made.folder, "export", done.id, str(earlier), "--step", "5")
    assert (earlier / "weights").read_bytes() != weights.read_bytes()
    none = run(made.folder, "export", done.id, str(earlier), "--step", "1", code=2)
    assert "has no checkpoint of step 1; there are " in none


def test_adapters_of_a_job_that_trained_all_weights_are_not_made_up(
    made: Bench, done: StoredJob
) -> None:
    target = made.folder.parent / "none"
    refused = run(made.folder, "export", done.id, str(target), "--adapters", code=2)
    assert f"The job {done.id} has no adapters" in refused
    assert not target.exists()


def test_a_model_that_was_deleted_is_not_exported_as_an_earlier_one(made: Bench) -> None:
    job_id = made.job(steps=10)
    done = made.finish(job_id)
    kept = [one.step for one in made.checkpoints(job_id)]
    assert done.fine_tuned_model
    assert made.store.models.delete(done.fine_tuned_model, None, ("succeeded",)) is not None
    target = made.folder.parent / "gone"
    refused = run(made.folder, "export", job_id, str(target), code=2)
    assert f"The model of the job {job_id} was deleted." in refused
    assert f"--step N exports an earlier checkpoint: {kept[0]}" in refused
    assert not target.exists()


def test_adapters_that_cannot_be_merged_leave_no_folder(made: Bench) -> None:
    job_id = made.job(steps=1)
    made.finish(job_id)
    kept = made.checkpoints(job_id)[-1]
    model = made.place(job_id) / kept.folder / "model"
    (model / "adapter_config.json").write_text("{}")
    target = made.folder.parent / "merged"
    (made.folder.parent / "bare.toml").write_text('[training]\npython = "/no/python"\n')
    bare = ("--config", str(made.folder.parent / "bare.toml"))
    refused = run(made.folder, "export", job_id, str(target), *bare, code=2)
    assert "/no/python cannot be started" in refused
    assert not target.exists()
    run(made.folder, "export", job_id, str(target), "--adapters", *bare)
    assert (target / "adapter_config.json").exists()


def test_a_job_that_has_ended_is_deleted_with_all_that_it_made(made: Bench) -> None:
    job_id = made.job()
    assert "cancel it first" in run(made.folder, "delete", job_id, code=2)
    run(made.folder, "cancel", job_id)
    made.place(job_id).mkdir(exist_ok=True)
    assert f"{job_id} is deleted." in run(made.folder, "delete", job_id)
    assert not made.place(job_id).exists()
    assert f"There is no job '{job_id}'" in run(made.folder, "show", job_id, code=2)


@pytest.mark.parametrize("verb", ["events", "pause"])
def test_what_is_not_there_is_a_sentence(made: Bench, tmp_path: Path, verb: str) -> None:
    assert "There is no job 'ftjob-none'" in run(made.folder, verb, "ftjob-none", code=2)
    made.job()
    made.job()
    assert "Several ids begin with 'ftjob-'" in run(made.folder, verb, "ftjob-", code=2)
    (tmp_path / "none").mkdir()
    assert "holds no jobs" in run(tmp_path / "none", verb, "ftjob-1", code=2)


def test_a_server_obeys_what_the_command_line_asks_for(tmp_path: Path) -> None:
    with jobs_server(tmp_path) as server, client_of(server) as client:
        folder = tmp_path / "store"
        job: Any = client.fine_tuning.jobs.create(**job_body(client, seed=101))
        until(client, job.id, "running")
        assert "cancelled" in run(folder, "cancel", job.id)
        assert client.fine_tuning.jobs.retrieve(job.id).status == "cancelled"


def test_a_job_whose_files_are_to_be_checked_is_shown_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "store")
    make_model(tmp_path / "tiny")
    job = add_job(bench.store, body_of(bench.store, "supervised"))
    shown = run(bench.folder, "show", job.id)
    assert "validating_files" in shown
    assert "n_epochs auto" in shown
    bench.store.close()


def test_a_curve_has_at_most_so_many_bars_the_highest_for_the_highest() -> None:
    assert bars([0.0, 1.0], 10) == "▁█"
    assert bars([float(n) for n in range(100)], 8) == "▁▂▃▄▅▆▇█"
    assert bars([2.0, 2.0], 5) == "▁▁"


@pytest.mark.parametrize("columns", [80, 130])
def test_a_list_fits_the_terminal_with_the_models_whole_names(columns: int) -> None:
    listed = [
        StoredJob(
            id=f"ftjob-{n:024}", project="default", status=status, created_at=1, spec={},
            request={"model": "gpt-4o-mini-2024-07-18", "method": {"type": "reinforcement"}},
        )
        for n, status in enumerate(("running", "succeeded"))
    ]  # fmt: skip
    lines = list(job_table(listed, Screen(columns, wraps=True)))
    assert all(len(line) <= columns for line in lines)
    assert all(line.endswith("  gpt-4o-mini-2024-07-18") for line in lines)
    assert all(("1970" in line) == (columns == 130) for line in lines)
    assert list(job_table([], Screen(columns))) == []


def test_a_metric_of_all_validation_rows_is_shown_where_it_is_another_one() -> None:
    both = {"step": 3, "valid_loss": 1.5, "full_valid_loss": 1.5}
    (name, numbers) = list(checkpoint_lines([_kept(both)]))[2:]
    assert (name.strip(), numbers.strip()) == ("step 3  ft:tiny", "valid_loss 1.5")
    numbers = list(checkpoint_lines([_kept({**both, "full_valid_loss": 2.5})]))[3]
    assert numbers.strip() == "valid_loss 1.5, full_valid_loss 2.5"


def test_the_curve_of_a_reinforcement_job_is_its_reward_and_not_its_loss(
    made: Bench, done: StoredJob
) -> None:
    metrics = [one for one in made.events(done.id) if one.type == "metrics"]
    both = [replace(one, data={**(one.data or {}), "train_loss": 0.0}) for one in metrics]
    labels = [line.split()[0] for line in curve_lines(both, Screen())]
    assert "reward" in labels
    assert "loss" not in labels


def _kept(metrics: dict[str, Any]) -> StoredCheckpoint:
    return StoredCheckpoint("ftjob-1", 3, "ft:tiny", "", "", metrics)


def test_a_project_is_asked_for_by_what_the_command_is_about() -> None:
    for words, what in ((("jobs", "list"), "jobs"), (("evals", "list"), "evals")):
        printed = " ".join(help_of(words).split())
        assert f"--project NAME Whose {what}: a project of graders.toml" in printed


def test_a_page_is_written_without_a_server_and_onto_nothing_else(
    made: Bench, done: StoredJob, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    assert run(made.folder, "page", done.id[:10], "--out", str(page)) == f"page in {page}\n"
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert f"Step <b>{STEPS}</b> of <b>{STEPS}</b>" in text
    run(made.folder, "page", done.id, "--out", str(page))  # a page is replaced
    assert run(made.folder, "page", done.id, "--out", "-").startswith("<!doctype html>")
    page.write_text("mine")
    for target, why in ((page, "is not a page"), (tmp_path / "page.txt", "ends in .html")):
        assert why in run(
            made.folder, "page", done.id, "--out", str(target), code=2 - (target == page)
        )
    assert page.read_text() == "mine"
    assert "no job 'ftjob-x'" in run(made.folder, "page", "ftjob-x", code=2)
    assert "of the project other" in run(made.folder, "page", done.id, "--project", "other", code=2)
    run(made.folder, "page", done.id)
    (made.folder.parent / f"{done.id}.html").unlink()  # where the command was run
