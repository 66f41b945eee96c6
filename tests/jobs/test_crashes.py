"""Workers and the processes that look after them are killed: curve, weights and files are the same."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from graders_engine.storage.pages import Page
from tests.jobs.made import PROJECT, STEPS, TRAINER, Bench, made_of
from tests.jobs.scripted import KILLED

SUPERVISE = """
import asyncio, sys
from pathlib import Path
from graders_engine.jobs.supervisor import Supervisor
from graders_engine.settings import EngineSettings
from graders_engine.storage.store import Store
with Store(Path(sys.argv[1])) as store:
    asyncio.run(Supervisor(store, EngineSettings(), trainer=sys.argv[2]).watch())
"""
ALL_MOMENTS = {
    "before the first step": ("trainer", "step 1 begins"),
    "weights without their name": ("os.rename", "tmp-step-5"),
    "rollouts without their step": ("trainer", "rollouts of 7"),
    "a checkpoint, and the older one can still be resumed": ("shutil.rmtree", "step-5/state"),
    "a step before the first checkpoint": ("trainer", "reported 3"),
    "half of the weights": ("trainer", "half of 10"),
    "a checkpoint's step without the checkpoint": ("trainer", "reported 15"),
    "weights with a name, without a row": ("open", "/step-10/model/weights"),
    "a checkpoint that was kept just now": ("trainer", "kept 15"),
    "the last step without its weights": ("trainer", "reported 20"),
    "results without their files": ("os.rename", "results.json"),
    "a file without its row": ("os.rename", "/files/file-"),
    "files without the job's end": ("os.remove", "/reserve"),
}
COUNT = int(os.environ.get("GRADERS_KILLS", "4"))
"""Moments of each kind of kill; `.ci/nightly` has more."""
MOMENTS = list(ALL_MOMENTS)[:: math.ceil(len(ALL_MOMENTS) / COUNT)]


def check(bench: Bench, job_id: str, whole: dict[str, Any]) -> None:
    """That a job is as if nothing had happened."""
    done = bench.job_of(job_id)
    assert (done.status, done.error) == ("succeeded", None)
    assert (bench.place(job_id) / KILLED).exists()
    found = made_of(bench, job_id)
    assert found == whole
    assert found["steps"] == list(range(1, STEPS + 1))
    assert bench.messages(job_id, "info").count("Fine-tuning job started") == 1
    for one in found["checkpoints"]:
        message = f"Checkpoint created at step {one[0]}"
        assert bench.messages(job_id, "info").count(message) == 1
    with bench.store.serve():  # which removes what a crash has left of a file without a row
        assert set(os.listdir(bench.folder / "files")) == set(done.result_files)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_worker_killed_at_any_moment_is_replaced(
    bench: Bench, whole: dict[str, Any], moment: str
) -> None:
    job_id = bench.job({"kill": ["worker", *ALL_MOMENTS[moment]]})
    bench.finish(job_id)
    check(bench, job_id, whole)
    warned = bench.messages(job_id, "warn")
    assert len(warned) == 1
    assert "worker was lost" in warned[0]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_job_survives_the_process_that_looks_after_it(
    bench: Bench, whole: dict[str, Any], moment: str
) -> None:
    job_id = bench.job({"kill": ["server", *ALL_MOMENTS[moment]]})
    supervised_until_killed(bench)
    bench.finish(job_id)
    check(bench, job_id, whole)
    assert not bench.messages(job_id, "warn")  # the worker has never ended


@pytest.mark.parametrize("moment", MOMENTS)
def test_both_killed_at_once_are_replaced_by_the_next(
    bench: Bench, whole: dict[str, Any], moment: str
) -> None:
    job_id = bench.job({"kill": ["both", *ALL_MOMENTS[moment]]})
    supervised_until_killed(bench)
    bench.finish(job_id)
    check(bench, job_id, whole)


def supervised_until_killed(bench: Bench) -> None:
    """Look after the jobs in another process, which the trainer kills."""
    process = subprocess.Popen([sys.executable, "-c", SUPERVISE, str(bench.folder), TRAINER])
    try:
        assert process.wait(60) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()


def test_the_curve_and_the_rollouts_say_the_same(bench: Bench) -> None:
    job_id = bench.job({"kill": ["worker", "trainer", "reported 8"]})
    bench.finish(job_id)
    lines = [json.loads(line) for line in bench.result(job_id, "rollouts.jsonl").splitlines()]
    curve = {one.step: one.data for one in bench.events(job_id) if one.type == "metrics"}
    assert len(lines) == 4 * STEPS
    for step, data in curve.items():
        rewards = [line["reward"] for line in lines if line["step"] == step]
        assert data is not None
        assert data["train_mean_reward"] == sum(rewards) / len(rewards)


def test_the_error_of_a_job_has_what_ended_its_worker_and_not_what_it_printed_before(
    bench: Bench,
) -> None:
    done = bench.finish(bench.job({"1": "print much, then an error"}))
    assert done.error is not None
    assert done.error["message"].endswith("ZeroDivisionError: division by zero")


def test_a_worker_that_dies_again_and_again_fails_its_job(bench: Bench) -> None:
    job_id = bench.job({"8": "die"})
    done = bench.finish(job_id)
    assert done.status == "failed"
    assert done.error is not None
    assert done.error["code"] == "worker_died"
    assert "died 3 times without a new step" in done.error["message"]
    # The first one has come to step 7; the next ones only so far again.
    warned = bench.messages(job_id, "warn")
    assert ["another one continues" in one for one in warned] == [True, True, True, False]
    assert not bench.store.files.page(PROJECT, Page()).data


def test_a_worker_whose_program_fails_says_why(bench: Bench) -> None:
    done = bench.finish(bench.job({"2": "error"}))
    assert done.error is not None
    assert "ZeroDivisionError" in done.error["message"]


def test_deaths_with_new_steps_between_them_are_no_reason_to_give_up(bench: Bench) -> None:
    job_id = bench.job(dict.fromkeys(("4", "9", "13", "18"), "die once"))
    assert bench.finish(job_id).status == "succeeded"
    assert len(bench.messages(job_id, "warn")) == 4
