"""A run that is canceled ends at once, with what waits for its judges; what was graded counts."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from contextlib import closing

import pytest

from graders_engine.evals.run.items import OutputItems
from graders_engine.evals.run.place import LOCK, REPLIES
from graders_engine.storage.lock import ProcessLock
from graders_engine.storage.runs import StoredRun
from tests.evals.run.made import Bench, completions, counts, echo, jsonl, judge, row, string_check
from tests.judges.judge_server import Asked, JudgeServer, Reply, silence, verdict
from tests.sandbox.test_leaks import below


def await_requests(server: JudgeServer, requests: int) -> None:
    until = time.monotonic() + 20
    while len(server.asked) < requests and time.monotonic() < until:
        time.sleep(0.01)


def is_free(bench: Bench, run: StoredRun) -> bool:
    lock = ProcessLock(bench.files(run) / LOCK)
    taken = lock.take()
    lock.release()
    return taken


@pytest.mark.parametrize("what", ["judge", "model"])
def test_a_run_that_waits_for_a_model_ends_within_a_second(
    bench: Bench, server: JudgeServer, what: str
) -> None:
    server.script = lambda asked: silence
    if what == "judge":
        run = bench.run([judge("score_model")], jsonl(row("a")))
    else:
        run = bench.run([string_check()], completions({"question": "?", "label": "?"}))
    supervisor = bench.supervisor()
    looking = threading.Thread(target=supervisor.finish, args=(run.id,))
    looking.start()
    await_requests(server, 1)
    began = time.monotonic()
    bench.store.runs.note(run.id, wanted="canceled")
    looking.join(20)
    took = time.monotonic() - began
    done = bench.store.runs.find(run.id)
    assert done is not None
    assert done.status == "canceled"
    assert took < 10  # a second on a machine at rest
    assert is_free(bench, run)


def test_what_was_graded_before_counts(bench: Bench, server: JudgeServer) -> None:
    server.script = lambda asked: silence if "stuck" in asked.text else verdict(1.0)
    rows = [row(f"{n}") for n in range(40)] + [row("stuck")]
    run = bench.run([judge("score_model")], jsonl(*rows))
    supervisor = bench.supervisor()
    looking = threading.Thread(target=supervisor.finish, args=(run.id,))
    looking.start()
    await_requests(server, 41)
    time.sleep(0.5)
    bench.store.runs.note(run.id, wanted="canceled")
    looking.join(20)
    done = bench.store.runs.find(run.id)
    assert done is not None
    assert (done.status, counts(done)) == ("canceled", (40, 40, 0, 0))
    assert len(bench.items(done)) == 40


def replies(bench: Bench, run: StoredRun) -> int:
    path = bench.files(run) / REPLIES
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as file:
        return int(file.execute("SELECT COUNT(*) FROM replies").fetchone()[0])


@pytest.mark.parametrize("stuck", ["the model", "a judge"])
def test_what_was_sampled_before_is_listed(bench: Bench, server: JudgeServer, stuck: str) -> None:
    def script(asked: Asked) -> Reply:
        is_judge = "Good?" in asked.text
        if is_judge or (stuck == "the model" and "q2" in asked.text):
            return silence
        return echo(asked)

    server.script = script
    questions = [f"q{n}" for n in range(6)]
    items = [{"question": text, "label": text} for text in questions]
    criteria = [string_check()] if stuck == "the model" else [judge("score_model")]
    run = bench.run(criteria, completions(*items))
    looking = threading.Thread(target=bench.supervisor().finish, args=(run.id,))
    looking.start()
    await_requests(server, 6 if stuck == "the model" else 12)
    answered = 5 if stuck == "the model" else 6
    until = time.monotonic() + 20
    while replies(bench, run) < answered and time.monotonic() < until:
        time.sleep(0.01)
    bench.store.runs.note(run.id, wanted="canceled")
    looking.join(20)
    done = bench.store.runs.find(run.id)
    assert done is not None
    assert (done.status, counts(done)) == ("canceled", (6, 0, 0, 6))
    listed = bench.items(done)
    assert [item["results"] for item in listed] == [[]] * 6
    said = [[one["content"] for one in item["sample"]["output"]] for item in listed]
    missing = 2 if stuck == "the model" else None
    assert said == [[] if n == missing else [text] for n, text in enumerate(questions)]
    assert {item["sample"]["error"]["code"] for item in listed} == {"run_ended"}
    (used,) = done.result["per_model_usage"]
    assert used["invocation_count"] == answered
    assert bench.items(done, status="error") == listed
    assert OutputItems(bench.store).get(done, listed[3]["id"]) == listed[3]


def test_a_queued_run_is_canceled_without_a_worker(bench: Bench) -> None:
    run = bench.run([string_check()], jsonl(row("a")), wanted="canceled")
    assert bench.finish(run).status == "canceled"


def test_a_deleted_run_has_no_worker_any_more(bench: Bench, server: JudgeServer) -> None:
    server.script = lambda asked: silence
    run = bench.run([judge("score_model")], jsonl(row("a")))
    supervisor = bench.supervisor()
    looking = threading.Thread(target=supervisor.finish, args=(run.id,))
    looking.start()
    await_requests(server, 1)
    lock = ProcessLock(bench.files(run) / LOCK)
    bench.store.runs.delete("default", run.eval_id, run.id)
    looking.join(20)
    assert not looking.is_alive()
    assert not lock.path.exists()


def test_who_waits_for_a_run_leaves_the_others_alone(bench: Bench) -> None:
    other = bench.run([string_check()], jsonl(row("a")))
    assert bench.finish(bench.run([string_check()], jsonl(row("a")))).status == "completed"
    left = bench.store.runs.find(other.id)
    assert left is not None
    assert (left.status, left.attempt) == ("queued", 0)


def test_a_worker_that_has_ended_leaves_no_process_behind(bench: Bench) -> None:
    supervisor = bench.supervisor()
    bench.run([string_check()], jsonl(row("a")))
    before = below(os.getpid())
    supervisor.look()
    started = below(os.getpid()) - before
    assert started
    until = time.monotonic() + 20
    while started & below(os.getpid()) and time.monotonic() < until:
        supervisor.look()
        time.sleep(0.02)
    assert not started & below(os.getpid())


def test_two_runs_at_a_time_in_their_order(bench: Bench, server: JudgeServer) -> None:
    gate = threading.Event()

    def held(conversation: object) -> None:
        gate.wait(20)
        verdict(1.0)(conversation)  # type: ignore[arg-type] # the server's own

    server.script = lambda asked: held
    runs = [bench.run([judge("score_model")], jsonl(row(f"{n}"))) for n in range(3)]
    supervisor = bench.supervisor()

    async def watch() -> None:
        task = asyncio.create_task(supervisor.watch())
        supervisor.wake()
        await asyncio.to_thread(await_requests, server, 2)
        await asyncio.sleep(0.6)
        states = bench.store.runs.states("queued", "in_progress")
        assert [state.id for state in states if state.status == "queued"] == [runs[2].id]
        gate.set()
        while bench.store.runs.states("queued", "in_progress"):
            await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(watch())
    for run in runs:
        done = bench.store.runs.find(run.id)
        assert done is not None
        assert counts(done) == (1, 1, 0, 0)
