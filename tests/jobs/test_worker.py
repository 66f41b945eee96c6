"""A job's worker: its lock, what it keeps of each step and checkpoint, and how it ends."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from graders_engine.jobs.checkpoints import digest
from graders_engine.jobs.events import Signal
from graders_engine.jobs.states import resume
from graders_engine.jobs.worker import LOCKED
from graders_engine.storage.lock import ProcessLock
from graders_engine.training.trainer import Method, StepReport
from tests.jobs.made import PROJECT, TRAINER, Bench, made_of
from tests.jobs.test_control import wait_for


def work(bench: Bench, job_id: str, *more: str) -> int:
    """Run a worker as a supervisor does, and wait for it."""
    folder = bench.place(job_id)
    folder.mkdir(exist_ok=True)
    spec = json.dumps(bench.job_of(job_id).spec)
    if not (folder / "spec.json").exists():
        (folder / "spec.json").write_text(spec)
    with (folder / "worker.log").open("ab") as log:
        return subprocess.run(
            [sys.executable, "-P", "-m", "graders_engine.jobs.worker", str(bench.folder), job_id,
             "--trainer", TRAINER, *more],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, check=False,
            start_new_session=True,
        ).returncode  # fmt: skip


def test_a_second_worker_leaves_and_changes_nothing(bench: Bench) -> None:
    job_id = bench.job()
    bench.place(job_id).mkdir()
    lock = ProcessLock(bench.place(job_id) / "lock")
    assert lock.take()
    lock.path.write_text("17\n")
    before = bench.job_of(job_id)
    assert work(bench, job_id) == LOCKED
    assert bench.job_of(job_id) == before
    assert lock.path.read_text() == "17\n"
    assert {path.name for path in bench.place(job_id).iterdir()} == {
        "lock",
        "spec.json",
        "worker.log",
    }
    lock.release()
    assert work(bench, job_id) == 0
    assert bench.job_of(job_id).status == "succeeded"


@pytest.mark.parametrize(
    "status", ["validating_files", "running", "pausing", "paused", "failed", "cancelled"]
)
def test_a_worker_that_comes_too_late_does_nothing(bench: Bench, status: str) -> None:
    job_id = bench.job(status=status)
    assert work(bench, job_id) == 0
    assert bench.job_of(job_id).status == status
    assert not bench.events(job_id)


def test_a_worker_without_its_job_does_nothing(bench: Bench) -> None:
    job_id = bench.job()
    bench.place(job_id).mkdir()
    (bench.place(job_id) / "spec.json").write_text("{}")
    spec = bench.job_of(job_id)
    bench.store.jobs.delete(PROJECT, job_id)
    assert spec.status == "queued"
    done = subprocess.run(
        [sys.executable, "-m", "graders_engine.jobs.worker", str(bench.folder), job_id],
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert not bench.place(job_id).exists()


@pytest.mark.parametrize("method", ["supervised", "dpo", "reinforcement"])
def test_a_job_that_succeeds_has_weights_and_says_all_of_its_steps(
    bench: Bench, method: Method
) -> None:
    job_id = bench.job(method=method, steps=10)
    done = bench.finish(job_id)
    short = job_id.removeprefix("ftjob-")[:8]
    assert (done.status, done.fine_tuned_model) == ("succeeded", f"ft:tiny:local:mine:{short}")
    assert (done.trained_tokens, done.estimated_finish, done.wanted) == (100, None, "")
    assert done.heartbeat is not None
    assert done.finished_at is not None
    kept = bench.checkpoints(job_id)
    assert [one.name for one in kept] == [
        f"ft:tiny:local:mine:{short}:ckpt-step-{step}" for step in (5, 10)
    ]
    for one in kept:
        assert digest(bench.place(job_id) / one.folder / "model") == one.digest
    rows = list(csv.DictReader(bench.result(job_id, "step_metrics.csv").decode().splitlines()))
    metrics = [one.data or {} for one in bench.events(job_id) if one.type == "metrics"]
    assert [int(row["step"]) for row in rows] == list(range(1, 11))
    if method == "reinforcement":
        assert [float(row["train_reward"]) for row in rows] == [
            one["train_mean_reward"] for one in metrics
        ]
        assert kept[-1].metrics["valid_reward_mean"] == metrics[-1]["full_valid_mean_reward"]
        assert rows[0]["valid_reward"] == ""
    else:
        assert [float(row["train_loss"]) for row in rows] == [one["train_loss"] for one in metrics]
        preferences = [
            f"{split}_preference_{name}"
            for split in ("train", "valid")
            for name in ("accuracy", "margin")
        ]
        assert list(rows[0]) == [
            "step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy",
            *(preferences if method == "dpo" else ()),
        ]  # fmt: skip
        for name in list(rows[0])[5:]:
            assert [row[name] for row in rows] == [
                "" if one.get(name) is None else repr(one[name]) for one in metrics
            ]
            assert rows[-1][name] == repr(metrics[-1][name])
        assert kept[-1].metrics["full_valid_loss"] == metrics[-1]["valid_loss"]
        assert len(done.result_files) == 1


def test_steps_are_printed_as_the_guides_do(bench: Bench) -> None:
    rewarded, taught = bench.job(steps=5), bench.job(method="supervised", steps=5)
    for job_id in (rewarded, taught):
        bench.finish(job_id)
    messages = [one.message for one in bench.events(rewarded) if one.type == "metrics"]
    data = [one.data or {} for one in bench.events(rewarded) if one.type == "metrics"]
    first, last = data[0]["train_mean_reward"], data[4]["train_mean_reward"]
    assert messages[0] == f"Step 1/5 , train mean reward={first:.2f}"
    assert messages[4] == (
        f"Step 5/5 , train mean reward={last:.2f}, full validation mean reward={last / 2:.2f}, "
        "full validation mean parse error=none"
    )
    assert data[4]["scores"] == {"train_reward_mean": last, "valid_reward_mean": last / 2}
    messages = [one.message for one in bench.events(taught) if one.type == "metrics"]
    assert messages[0] == f"Step 1/5: training loss={first:.2f}"
    assert messages[4] == f"Step 5/5: training loss={last:.2f}, validation loss={last / 2:.2f}"


def test_the_best_three_and_the_newest_are_kept(bench: Bench) -> None:
    job_id = bench.job(steps=60)
    bench.finish(job_id)
    rewards = {
        one.data["step"]: one.data["full_valid_mean_reward"]
        for one in bench.events(job_id)
        if one.data and "full_valid_mean_reward" in one.data
    }
    best = sorted(rewards, key=lambda step: -rewards[step])[:3]
    kept = bench.checkpoints(job_id)
    assert [one.step for one in kept] == sorted({*best, 60})
    assert [one.step for one in kept if one.resumable] == [60]
    folders = {path.name for path in bench.place(job_id).glob("*step-*")}
    assert folders == {one.folder for one in kept}
    assert [path.parent.name for path in bench.place(job_id).glob("*/state")] == ["step-60"]


def test_a_trainer_that_gives_up_fails_its_job(bench: Bench) -> None:
    job_id = bench.job({"3": "fail"})
    done = bench.finish(job_id)
    assert (done.status, done.attempt) == ("failed", 1)
    assert done.error == {
        "code": "grader_failing",
        "message": "The grader fails on most rows.",
        "param": "method.grader",
    }
    assert bench.messages(job_id, "error") == ["The grader fails on most rows."]


@pytest.mark.parametrize(
    ("script", "code"),
    [({"7": "return"}, "no_weights"), ({"write 20": "no weights"}, "no_weights")],
)
def test_no_job_succeeds_without_the_weights_of_its_last_step(
    bench: Bench, script: dict[str, str], code: str
) -> None:
    done = bench.finish(bench.job(script))
    assert (done.status, done.fine_tuned_model) == ("failed", None)
    assert done.error is not None
    assert done.error["code"] == code


def test_a_trainer_that_leaves_out_a_step_is_not_believed(bench: Bench) -> None:
    done = bench.finish(bench.job({"7": "skip a step"}))
    assert done.error is not None
    assert "step 8 comes after step 6" in done.error["message"]


def test_what_a_trainer_is_given_must_be_whole(bench: Bench) -> None:
    job_id = bench.job()
    bench.place(job_id).mkdir()
    (bench.place(job_id) / "spec.json").write_text('{"id": 1}')
    done = bench.finish(job_id)
    assert (done.status, (done.error or {}).get("code")) == ("failed", "invalid_spec")


def test_a_trainer_that_is_not_installed_is_no_mystery(bench: Bench) -> None:
    job_id = bench.job()
    done = bench.finish(job_id, trainer="graders_engine.training.nowhere:Trainer")
    assert done.error is not None
    assert done.error["code"] == "trainer_not_available"
    assert "pip install '.[train]'" in done.error["message"]


def test_a_package_that_the_trainer_imports_later_is_named_without_another_attempt(
    bench: Bench,
) -> None:
    job_id = bench.job({"3": "import what is not installed"})
    done = bench.finish(job_id)
    assert done.error is not None
    assert done.error["code"] == "trainer_not_available"
    for words in ("no_such_package", "pip install '.[train]'", "[training]"):
        assert words in done.error["message"]
    assert not bench.messages(job_id, "warn")


def test_an_outage_pauses_the_job_and_what_was_trained_stays(
    bench: Bench, whole: dict[str, Any]
) -> None:
    job_id = bench.job({"8": "outage"})
    assert bench.finish(job_id).status == "paused"
    assert bench.messages(job_id, "warn") == [
        "The judge did not answer for 50% of the rows of this step."
    ]
    bench.script_is_over(job_id)
    assert resume(bench.store.jobs, job_id)
    assert bench.finish(job_id).status == "succeeded"
    assert made_of(bench, job_id) == whole


@pytest.mark.parametrize(
    "script",
    [
        {"write 10": "full disk"},
        {"write 10": "full disk, as a library says it"},
        {"8": "full disk"},
    ],
)
def test_a_full_disk_pauses_the_job_with_its_last_good_checkpoint(
    bench: Bench, whole: dict[str, Any], script: dict[str, str]
) -> None:
    job_id = bench.job(script)
    assert bench.finish(job_id).status == "paused"
    assert [one.step for one in bench.checkpoints(job_id)] == [5]
    assert [path.name for path in bench.place(job_id).glob("*step-*")] == ["step-5"]
    assert "disk is full" in bench.messages(job_id, "warn")[0]
    bench.script_is_over(job_id)
    assert resume(bench.store.jobs, job_id)
    assert bench.finish(job_id).status == "succeeded"
    assert made_of(bench, job_id) == whole


def test_a_checkpoint_that_was_changed_is_not_continued_from(bench: Bench) -> None:
    job_id = bench.job({"8": "outage"})
    bench.finish(job_id)
    (bench.place(job_id) / "step-5" / "model" / "weights").write_text("0")
    bench.script_is_over(job_id)
    assert resume(bench.store.jobs, job_id)
    done = bench.finish(job_id)
    assert (done.status, (done.error or {}).get("code")) == ("failed", "checkpoint_damaged")


def test_a_job_pauses_after_its_hours(bench: Bench) -> None:
    job_id = bench.job()
    assert work(bench, job_id, "--max-hours", "0") == 0
    assert bench.job_of(job_id).status == "paused"
    assert bench.store.jobs.last_step(job_id) == 1
    assert "has run for 0 hours" in bench.messages(job_id, "warn")[0]
    assert resume(bench.store.jobs, job_id)
    assert bench.finish(job_id).status == "succeeded"


def test_steps_without_any_difference_between_answers_are_warned_of_once(bench: Bench) -> None:
    job_id = bench.job({"frac_zero_std": 1.0})
    bench.finish(job_id)
    (warned,) = bench.messages(job_id, "warn")
    assert "nothing can be learned" in warned


def test_of_several_processes_the_first_alone_keeps_anything(
    bench: Bench, whole: dict[str, Any]
) -> None:
    job_id = bench.job({"3": "stall"})
    folder = bench.place(job_id)
    folder.mkdir()
    (folder / "spec.json").write_text(json.dumps(bench.job_of(job_id).spec))
    command = [
        sys.executable, "-P", "-m", "graders_engine.jobs.worker", str(bench.folder), job_id,
        "--trainer", TRAINER,
    ]  # fmt: skip
    processes = [
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, cwd=folder, env={**os.environ, "RANK": rank}
        )
        for rank in ("1", "0")
    ]
    wait_for(lambda: all((folder / f"given{rank}.json").exists() for rank in (0, 1)))
    bench.script_is_over(job_id)
    assert [process.wait(60) for process in processes] == [0, 0]
    assert bench.job_of(job_id).status == "succeeded"
    assert made_of(bench, job_id) == whole


def test_a_job_that_takes_days_without_a_gpu_is_warned_of_once(bench: Bench) -> None:
    job_id = bench.job({"8": "fail"}, steps=10**9)
    done = bench.finish(job_id)
    assert done.status == "failed"
    (warned,) = bench.messages(job_id, "warn")
    assert "Without a GPU, the job needs about" in warned


def test_a_job_that_fails_has_the_results_of_the_steps_before(bench: Bench) -> None:
    job_id = bench.job({"3": "fail"}, steps=5)
    done = bench.finish(job_id)
    assert done.status == "failed"
    names = {
        file.name: bench.store.files.path(file.id).read_text()
        for file in (bench.store.files.get(done.project, one) for one in done.result_files)
        if file is not None
    }
    assert len(names["step_metrics.csv"].splitlines()) == 3
    assert {json.loads(line)["step"] for line in names["rollouts.jsonl"].splitlines()} >= {1, 2}


def reported(step: int, reward: float, share: float) -> StepReport:
    return StepReport(step, {"reward_mean": reward}, {}, 0, {"local": {"frac_zero_std": share}})


def test_a_job_that_has_learned_all_is_not_said_to_have_a_grader_that_tells_nothing_apart() -> None:
    dull, learned = Signal(), Signal()
    said = [dull.warning(reported(step, 0.0, 1.0)) for step in range(1, 6)]
    assert said[:4] == [None] * 4
    assert "nothing can be learned" in (said[4] or "")
    for step, reward in enumerate((0.1, 0.5), start=1):
        assert learned.warning(reported(step, reward, 0.2)) is None
    said = [learned.warning(reported(step, 1.0, 1.0)) for step in range(3, 8)]
    assert said[:4] == [None] * 4
    assert "nothing left to learn" in (said[4] or "")
    assert "cancel the job" in (said[4] or "")
