"""Workers and the processes that look after them are killed: nothing is lost, twice, or paid twice."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from graders_engine.errors import OutOfResources
from graders_engine.evals.run.place import LOCK, REPLIES, RESULTS, SAMPLES
from graders_engine.evals.run.supervisor import ATTEMPTS
from graders_engine.settings_json import as_json
from graders_engine.storage.lock import ProcessLock
from graders_engine.storage.runs import StoredRun
from tests.evals.run.made import (
    Bench,
    completions,
    counts,
    jsonl,
    judge,
    row,
    settings_for,
    string_check,
    without_ids,
)
from tests.judges.judge_server import Asked, JudgeServer, Reply, answer, said, verdict

MOMENTS = int(os.environ.get("GRADERS_KILLS", "6"))
"""Kills of one run; `.ci/nightly` has more."""
ITEMS = 200
IN_FLIGHT = 4
SUPERVISE = """
import asyncio, sys
from pathlib import Path
from graders_engine.settings_json import from_json
from graders_engine.evals.run.supervisor import Supervisor
from graders_engine.storage.store import Store
settings = from_json(sys.stdin.buffer.read())
with Store(Path(sys.argv[1])) as store:
    asyncio.run(Supervisor(store, settings).watch())
"""


def slow_model(asked: Asked) -> Reply:
    """Samples and judges, some milliseconds each."""
    text = asked.body["messages"][-1]["content"]
    reply = verdict(1.0) if "Good?" in text else answer(said(text))

    def slowly(conversation: object) -> None:
        time.sleep(0.005)
        reply(conversation)  # type: ignore[arg-type] # the server's own

    return slowly


def sampled_and_judged(bench: Bench) -> StoredRun:
    items = [{"question": f"q{n}", "label": f"q{n if n % 3 else 0}"} for n in range(ITEMS)]
    criteria = [string_check(id="match-1"), judge("score_model", id="judge-1")]
    return bench.run(criteria, completions(*items))


def worker_of(bench: Bench, run: StoredRun) -> int:
    """The process that works on a run; 0 where none does."""
    lock = ProcessLock(bench.files(run) / LOCK)
    if not bench.files(run).exists():
        return 0
    if lock.take():
        lock.release()
        return 0
    text = lock.path.read_text()
    return int(text) if text.strip() else 0


def size_of(bench: Bench, run: StoredRun) -> int:
    """How much is done, in bytes."""
    return sum(
        path.stat().st_size
        for name in (SAMPLES, RESULTS)
        if (path := bench.files(run) / name).exists()
    )


def check(bench: Bench, server: JudgeServer, run: StoredRun, kills: int) -> None:
    done = bench.store.runs.find(run.id)
    assert done is not None
    assert (done.status, done.error) == ("completed", None)
    assert counts(done)[0] == ITEMS
    assert counts(done)[3] == 0
    lines = (bench.files(run) / SAMPLES).read_bytes().splitlines()
    results = (bench.files(run) / RESULTS).read_bytes().splitlines()
    assert (len(lines), len(results)) == (ITEMS, ITEMS)
    asked = Counter(one.body["messages"][-1]["content"] for one in server.asked)
    again = sum(asked.values()) - len(asked)
    # What was on its way when a worker was killed never came to anybody: it alone is asked again.
    assert again <= kills * IN_FLIGHT
    usage = done.result["per_model_usage"][0]
    assert usage["invocation_count"] == 2 * ITEMS


def test_a_worker_killed_at_any_moment_is_replaced(bench: Bench, server: JudgeServer) -> None:
    server.script = slow_model
    bench.settings = settings_for(server, concurrency=IN_FLIGHT)
    run = sampled_and_judged(bench)
    kills = 0
    supervisor = bench.supervisor()
    stop = threading.Event()

    def kill_now_and_then() -> None:
        nonlocal kills
        done = -1
        while kills < MOMENTS and not stop.wait(0.03):
            worker, now = worker_of(bench, run), size_of(bench, run)
            if worker and now > done:  # each moment is one of its own
                os.kill(worker, signal.SIGKILL)
                kills, done = kills + 1, now

    killer = threading.Thread(target=kill_now_and_then)
    killer.start()
    try:
        done = supervisor.finish(run.id)
    finally:
        stop.set()
        killer.join()
    assert done is not None
    assert kills == MOMENTS
    check(bench, server, run, kills)
    whole = bench.finish(sampled_and_judged(bench))
    assert whole.result == done.result
    assert without_ids(bench.items(whole)) == without_ids(bench.items(done))


def test_a_run_survives_the_process_that_looks_after_it(bench: Bench, server: JudgeServer) -> None:
    server.script = slow_model
    bench.settings = settings_for(server, concurrency=IN_FLIGHT)
    run = sampled_and_judged(bench)
    for moment in range(MOMENTS):
        process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISE, str(bench.folder)], stdin=subprocess.PIPE
        )
        assert process.stdin is not None
        with process.stdin as stdin:
            stdin.write(as_json(bench.settings))
        time.sleep(0.2 + 0.02 * moment)
        process.kill()
        process.wait()
    done = bench.finish(run)
    assert done.status == "completed"
    check(bench, server, run, 0)  # nothing was asked again: the worker went on all the time


def test_both_killed_at_once_are_replaced_by_the_next(bench: Bench, server: JudgeServer) -> None:
    server.script = slow_model
    bench.settings = settings_for(server, concurrency=IN_FLIGHT)
    run = sampled_and_judged(bench)
    killed = 0
    for _ in range(3):
        supervisor = bench.supervisor()
        until = time.monotonic() + 20
        before = size_of(bench, run)
        while size_of(bench, run) == before and time.monotonic() < until:
            supervisor.look()
            time.sleep(0.01)
        if worker := worker_of(bench, run):
            os.kill(worker, signal.SIGKILL)
            killed += 1
        supervisor.close()
    done = bench.finish(run)
    assert done.status == "completed"
    check(bench, server, run, killed)


def test_a_system_that_starts_no_worker_fails_no_run(bench: Bench) -> None:
    run = bench.run([string_check()], jsonl(row("a")))
    refused = bench.supervisor(command=("/nowhere/python",))
    for _ in range(2 * ATTEMPTS):
        with pytest.raises(OutOfResources, match="A worker cannot be started"):
            refused.look()
    assert bench.finish(run).status == "completed"


def test_a_worker_that_dies_again_and_again_fails_its_run(bench: Bench, tmp_path: Path) -> None:
    program = tmp_path / "dies.py"
    program.write_text("import sys; sys.exit('out of everything')")
    run = bench.run([string_check()], jsonl(row("a")))
    done = bench.supervisor(command=[sys.executable, str(program)]).finish(run.id)
    assert done is not None
    assert done.status == "failed"
    assert done.error is not None
    assert done.error["code"] == "worker_died"
    assert "died 3 times" in done.error["message"]
    assert "out of everything" in done.error["message"]


def replies_of(path: Path) -> int:
    """How many replies a cache keeps."""
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as file:
        if not file.execute("SELECT 1 FROM sqlite_master WHERE name = 'replies'").fetchone():
            return 0
        return int(file.execute("SELECT COUNT(*) FROM replies").fetchone()[0])


def test_replies_behind_a_slow_item_are_progress(bench: Bench, server: JudgeServer) -> None:
    go_on = threading.Event()

    def first_is_slow(asked: Asked) -> Reply:
        go_on.wait(15 if asked.body["messages"][-1]["content"] == "q0" else 0.05)
        return slow_model(asked)

    server.script = first_is_slow
    bench.settings = settings_for(server, concurrency=IN_FLIGHT)
    items = [{"question": f"q{n}", "label": f"q{n}"} for n in range(40)]
    run = bench.run([string_check()], completions(*items))
    path = bench.files(run) / REPLIES
    supervisor, until = bench.supervisor(), time.monotonic() + 15
    for _ in range(ATTEMPTS + 1):
        before = replies_of(path)
        while replies_of(path) == before and time.monotonic() < until:
            supervisor.look()
            time.sleep(0.005)
        if worker := worker_of(bench, run):
            os.kill(worker, signal.SIGKILL)
    go_on.set()
    done = supervisor.finish(run.id)
    assert done is not None
    assert (done.status, done.error) == ("completed", None)


def test_two_that_look_after_a_run_start_one_worker(bench: Bench, server: JudgeServer) -> None:
    server.script = slow_model
    run = bench.run(
        [string_check()], completions(*({"question": f"{n}", "label": "1"} for n in range(50)))
    )
    first, second = bench.supervisor(), bench.supervisor()
    ended = [threading.Thread(target=one.finish, args=(run.id,)) for one in (first, second)]
    for thread in ended:
        thread.start()
    for thread in ended:
        thread.join()
    done = bench.store.runs.find(run.id)
    assert done is not None
    assert counts(done) == (50, 1, 49, 0)
    assert len(server.asked) == 50


@pytest.mark.parametrize("source", ["jsonl", "completions"])
def test_a_power_cut_amid_a_line_costs_that_line_alone(
    bench: Bench, server: JudgeServer, source: str
) -> None:
    made = (
        jsonl(*(row(f"{n}") for n in range(30)))
        if source == "jsonl"
        else completions(*({"question": f"{n}", "label": f"{n}"} for n in range(30)))
    )
    done = bench.completed([string_check()], made)
    before = without_ids(bench.items(done))
    for name in (RESULTS, SAMPLES):
        path = bench.files(done) / name
        if path.exists():
            path.write_bytes(path.read_bytes()[:-7])
    assert bench.store.runs.move(done.id, "queued", ("completed",))
    again = bench.finish(done)
    assert again.result == done.result
    assert without_ids(bench.items(again)) == before
    assert len(server.asked) == (0 if source == "jsonl" else 30)
