"""Pause, resume and cancel: exact, at any time, also while no server runs; nothing is left behind."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from graders_engine.jobs import supervisor as supervising
from graders_engine.jobs.states import cancel, pause, resume
from graders_engine.storage.jobs import StoredJob
from tests.jobs.made import Bench, made_of
from tests.sandbox.test_leaks import below


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until something is so; what comes after it fails if it never is."""
    until = time.monotonic() + 30
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)


@contextmanager
def supervised(bench: Bench, job_id: str) -> Iterator[None]:
    """Look after a job in a thread, as a server does, until it has ended or is paused."""
    thread = threading.Thread(target=bench.supervisor().finish, args=(job_id,))
    thread.start()
    try:
        yield
    finally:
        bench.script_is_over(job_id)
        thread.join(60)
    assert not thread.is_alive()


def has_stalled(bench: Bench, job_id: str) -> Callable[[], bool]:
    return lambda: (bench.place(job_id) / "stalled").exists()


@pytest.mark.parametrize("step", [5, 7, 19])
def test_a_paused_and_resumed_job_makes_what_another_makes(
    bench: Bench, whole: dict[str, Any], step: int
) -> None:
    job_id = bench.job({str(step): "stall"})
    with supervised(bench, job_id):
        wait_for(has_stalled(bench, job_id))
        assert pause(bench.store.jobs, job_id)
        assert bench.job_of(job_id).status == "pausing"
    paused = bench.job_of(job_id)
    assert (paused.status, paused.wanted, paused.estimated_finish) == ("paused", "", None)
    assert bench.store.jobs.last_step(job_id) == step
    assert bench.checkpoints(job_id)[-1].step == step
    assert bench.finish(job_id).status == "paused"  # nothing happens by itself
    assert resume(bench.store.jobs, job_id)
    assert bench.finish(job_id).status == "succeeded"
    # The pause's own checkpoint had no validation: it goes when there are enough that have.
    assert made_of(bench, job_id) == whole
    assert bench.messages(job_id, "info").count("Fine-tuning job started") == 1


def test_a_pause_in_the_last_step_lets_the_job_end(bench: Bench) -> None:
    job_id = bench.job({"20": "stall"})
    with supervised(bench, job_id):
        wait_for(has_stalled(bench, job_id))
        assert pause(bench.store.jobs, job_id)
    assert bench.job_of(job_id).status == "succeeded"


def test_a_queued_job_is_paused_without_a_worker(bench: Bench) -> None:
    job_id = bench.job()
    assert pause(bench.store.jobs, job_id)
    assert bench.finish(job_id).status == "paused"
    assert not (bench.place(job_id) / "worker.log").exists()


def test_a_worker_obeys_a_pause_that_came_while_no_server_ran(bench: Bench) -> None:
    job_id = bench.job({"3": "stall"})
    server = bench.supervisor()
    server.look()
    wait_for(has_stalled(bench, job_id))
    server.close()
    assert pause(bench.store.jobs, job_id)
    bench.script_is_over(job_id)
    wait_for(lambda: bench.job_of(job_id).status == "paused")
    wait_for(lambda: bench.is_free(job_id))
    assert bench.job_of(job_id).status == "paused"
    assert bench.is_free(job_id)


def test_a_job_whose_worker_died_while_it_paused_is_paused(bench: Bench) -> None:
    job_id = bench.job({"3": "stall", "kill": ["worker", "trainer", "reported 3"]})
    with supervised(bench, job_id):
        wait_for(has_stalled(bench, job_id))
        assert pause(bench.store.jobs, job_id)
    assert bench.job_of(job_id).status == "paused"
    assert resume(bench.store.jobs, job_id)
    assert bench.finish(job_id).status == "succeeded"


def lives(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


_BEFORE: set[int] = set()


@pytest.fixture(autouse=True)
def _others() -> None:
    """Processes that earlier tests have left are not a job's."""
    _BEFORE.clear()
    _BEFORE.update(below(os.getpid()))


def living() -> set[int]:
    """The processes that the test has started, and those of theirs, that have not ended."""
    return set(filter(lives, below(os.getpid()) - _BEFORE))


def ended(bench: Bench, job_id: str) -> StoredJob:
    done = bench.job_of(job_id)
    assert (done.status, done.fine_tuned_model, done.result_files) == ("cancelled", None, ())
    assert done.finished_at is not None
    assert bench.is_free(job_id)
    assert not living()
    return done


def test_a_cancelled_job_leaves_no_process(bench: Bench) -> None:
    job_id = bench.job({"5": "stall"})
    with supervised(bench, job_id):
        wait_for(has_stalled(bench, job_id))
        assert cancel(bench.store.jobs, job_id)
    done = ended(bench, job_id)
    # What its worker reports later is not kept.
    assert (done.trained_tokens, done.estimated_finish) == (40, None)
    assert bench.store.jobs.last_step(job_id) == 4
    assert not bench.checkpoints(job_id)


def test_what_a_trainer_that_does_not_end_has_started_ends_with_it(bench: Bench) -> None:
    job_id = bench.job({"4": "stall deaf"})
    thread = threading.Thread(target=bench.supervisor().finish, args=(job_id,))
    thread.start()
    wait_for(has_stalled(bench, job_id))
    started = living()
    assert cancel(bench.store.jobs, job_id)
    thread.join(30)
    assert len(started) == 2
    assert not any(map(lives, started))
    ended(bench, job_id)


def test_a_worker_that_hears_nothing_is_killed_with_its_group(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "KILL_S", 0.5)
    job_id = bench.job({"4": "stop itself"})
    thread = threading.Thread(target=bench.supervisor().finish, args=(job_id,))
    thread.start()
    wait_for(has_stalled(bench, job_id))
    started = living()
    assert cancel(bench.store.jobs, job_id)
    thread.join(30)
    assert started
    assert not any(map(lives, started))
    ended(bench, job_id)


def test_the_worker_of_a_deleted_job_ends(bench: Bench) -> None:
    job_id = bench.job({"4": "stall deaf"})
    server = bench.supervisor()
    server.look()
    wait_for(has_stalled(bench, job_id))
    started = living()
    assert bench.store.jobs.delete("default", job_id)
    wait_for(lambda: not any(map(lives, started)))
    assert len(started) == 2
    assert not any(map(lives, started))
    server.look()  # no longer asks for its own
    server.close()


@pytest.mark.parametrize("status", ["queued", "paused", "validating_files"])
def test_a_job_without_a_worker_is_cancelled_at_once(bench: Bench, status: str) -> None:
    job_id = bench.job(status=status)
    assert cancel(bench.store.jobs, job_id)
    assert bench.finish(job_id).wanted == ""
    ended(bench, job_id)
