"""A run is canceled, and its worker dies before it has counted: the next one to look has it counted."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from graders_engine.evals.run.place import RESULTS, SAMPLES
from graders_engine.evals.run.supervisor import Supervisor
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import DATABASE
from tests.evals.run.made import Bench, completions, counts, echo, jsonl, judge, row, string_check
from tests.evals.run.test_crashes import worker_of
from tests.judges.judge_server import Asked, JudgeServer, Reply, silence, verdict

OPEN = ("queued", "in_progress")
ITEMS = 6
ANSWERED = 3
DEAF = """
import signal, sys
from pathlib import Path
from graders_engine.evals.run.worker import main
signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
"""


def answers_to_three(stuck: str) -> object:
    """A model, or a judge, that is silent after its first three items; the other one answers all."""

    def script(asked: Asked) -> Reply:
        is_judge = "Good?" in asked.text
        late = any(f"q{n}" in asked.text for n in range(ANSWERED, ITEMS))
        if late and is_judge == (stuck != "the model"):
            return silence
        return verdict(1.0) if is_judge else echo(asked)

    return script


def started(bench: Bench, server: JudgeServer, stuck: str, supervisor: Supervisor) -> StoredRun:
    """A run that has done three items, and waits for the others for ever."""
    server.script = answers_to_three(stuck)  # type: ignore[assignment] # it is a script
    names = [f"q{n}" for n in range(ITEMS)]
    source = completions(*({"question": name, "label": name} for name in names))
    if stuck == "a judge of given rows":
        source = jsonl(*(row(name) for name in names))
    run = bench.run([string_check()] if stuck == "the model" else [judge("score_model")], source)
    written = bench.files(run) / (SAMPLES if stuck == "the model" else RESULTS)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        supervisor.look()
        if written.exists() and written.read_bytes().count(b"\n") == ANSWERED:
            return run
        time.sleep(0.02)
    raise AssertionError(f"{written.name} has not {ANSWERED} lines")


@contextmanager
def no_writer(bench: Bench) -> Iterator[None]:
    """No process is writing to the store meanwhile."""
    with closing(
        sqlite3.connect(bench.folder / DATABASE, timeout=20, isolation_level=None)
    ) as file:
        file.execute("BEGIN IMMEDIATE")
        yield


def cancel(bench: Bench, run: StoredRun) -> None:
    """As a server does."""
    assert bench.store.runs.move(run.id, "canceled", OPEN, wanted="canceled")


def counted(bench: Bench, run: StoredRun, supervisor: Supervisor) -> StoredRun:
    """The run after the supervisor has had it counted; fails if it has not after some time."""
    until = time.monotonic() + 20
    done = bench.store.runs.find(run.id)
    while done is not None and done.wanted and time.monotonic() < until:
        supervisor.look()
        time.sleep(0.02)
        done = bench.store.runs.find(run.id)
    supervisor.close()
    assert done is not None
    return done


EXPECTED = {
    "the model": (3, 0, 0, 3),
    "a judge of samples": (6, 3, 0, 3),
    "a judge of given rows": (3, 3, 0, 0),
}


@pytest.mark.parametrize("stuck", EXPECTED)
def test_what_was_done_is_listed_and_counted(bench: Bench, server: JudgeServer, stuck: str) -> None:
    first = bench.supervisor()
    run = started(bench, server, stuck, first)
    worker = worker_of(bench, run)
    with no_writer(bench):  # else it could stop with the store's lock
        os.kill(worker, signal.SIGSTOP)  # so that it does not hear of it
    cancel(bench, run)
    os.kill(worker, signal.SIGKILL)
    first.close()
    done = counted(bench, run, bench.supervisor())
    assert (done.status, counts(done)) == ("canceled", EXPECTED[stuck])
    total, passed, failed, errored = counts(done)
    assert len(bench.items(done)) == total
    by_status = [len(bench.items(done, status=name)) for name in ("pass", "fail", "error")]
    assert by_status == [passed, failed, errored]
    (criterion,) = done.result["per_testing_criteria_results"]
    assert (criterion["passed"], criterion["failed"]) == (passed, failed)
    used = {model["model_name"]: model for model in done.result["per_model_usage"]}
    assert (
        sum(model["invocation_count"] for model in used.values())
        == {
            "the model": ANSWERED,
            "a judge of samples": ITEMS + ANSWERED,
            "a judge of given rows": ANSWERED,
        }[stuck]
    )


def test_a_worker_that_cannot_be_interrupted_ends_and_its_samples_are_listed(
    bench: Bench, server: JudgeServer, tmp_path: Path
) -> None:
    program = tmp_path / "deaf.py"
    program.write_text(DEAF)
    supervisor = bench.supervisor(command=[sys.executable, str(program)])
    run = started(bench, server, "the model", supervisor)
    cancel(bench, run)
    done = counted(bench, run, supervisor)
    assert (done.status, counts(done)) == ("canceled", (3, 0, 0, 3))
    assert len(bench.items(done)) == ANSWERED
