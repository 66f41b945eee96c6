"""Workers are shared, lost, cancelled and closed, in each tier."""

from __future__ import annotations

import asyncio
import glob
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from graders_engine.sandbox.base import GradeResult, Kind, Limits, SandboxUnavailable, WorkerLost
from graders_engine.sandbox.pool import Pool
from tests.sandbox.pools import ECHO, Run, grade
from tests.sandbox.test_leaks import below, new_below


def orphans() -> list[str]:
    """Grades without a template, found by the folder they work in."""
    links = glob.glob("/proc/[0-9]*/cwd")
    return [f for f in map(_target, links) if "/graders-" in f and f.endswith("(deleted)")]


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(100):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("the condition does not become true")


def test_python_is_graded_where_new_files_are_their_owners_alone() -> None:
    source = "def grade(sample, item):\n    open('/tmp/a', 'w')\n    open('/dev/shm/b', 'w')\n    return 0.5"
    grader = json.dumps({"type": "python", "source": source})
    command = [sys.executable, "-m", "graders_engine", "run", "--grader", grader]
    ran = subprocess.run(
        [*command, "--model-sample", "x"], capture_output=True, text=True, umask=0o077
    )
    assert json.loads(ran.stdout)["reward"] == 0.5, ran.stderr


def test_as_many_grades_run_at_a_time_as_the_pool_allows(run: Run) -> None:
    source = "import time\ndef grade(s, i):\n    time.sleep(0.3)\n    return 1.0"

    async def body(pool: Pool) -> None:
        calls = asyncio.gather(*(grade(pool, source) for _ in range(6)))
        seen = set()
        while not calls.done():
            seen.add(sum(worker.running is not None for worker in pool.workers))
            await asyncio.sleep(0.005)
        assert all(result.reward == 1.0 for result in await calls)
        assert max(seen) == 2

    run(body, concurrency=2)


def test_many_programs_share_few_workers(run: Run) -> None:
    async def body(pool: Pool) -> None:
        for _ in range(2):
            for k in range(12):
                result = await grade(pool, f"def grade(s, i): return {k}")
                assert result.reward == k
        assert len(pool.workers) <= 4

    run(body)


def test_a_row_whose_worker_is_lost_is_tried_again(run: Run) -> None:
    async def body(pool: Pool) -> None:
        assert (await grade(pool, ECHO, {"want": 1})).reward == 1.0
        os.kill(pool.workers[0].pid, signal.SIGKILL)
        assert (await grade(pool, ECHO, {"want": 2})).reward == 2.0

    run(body)


def test_a_row_whose_worker_is_lost_twice_is_an_error(run: Run) -> None:
    async def body(pool: Pool) -> None:
        async def kill_all() -> None:
            while True:
                await asyncio.sleep(0)  # none of them gets as far as an answer
                for worker in pool.workers:
                    worker.kill()

        killer = asyncio.create_task(kill_all())
        with pytest.raises(WorkerLost):
            await grade(pool, "import time\ndef grade(s, i):\n    time.sleep(5)\n    return 1.0")
        killer.cancel()
        assert (await grade(pool, ECHO, {"want": 2})).reward == 2.0

    run(body)


def test_a_row_that_ends_each_of_its_workers_is_to_blame_for_it() -> None:
    source = "import os\ndef grade(s, i):\n    os.kill(os.getppid(), 9)\n    return 1.0"

    async def body() -> GradeResult:
        pool = Pool("none", concurrency=1)
        try:
            result = await grade(pool, source)
            assert (await grade(pool, ECHO, {"want": 2})).reward == 2.0
            return result
        finally:
            await pool.close()

    result = asyncio.run(body())
    assert (result.kind, result.reward) == (Kind.DIED, None)
    assert "each worker that took this row ended" in result.details


def test_a_source_that_takes_too_much_memory_to_read_is_to_blame_for_it(run: Run) -> None:
    async def body(pool: Pool) -> None:
        # the parser joins the parts one by one, and keeps each of the texts
        result = await grade(pool, "import a" + ".a" * 25_000)
        assert result.kind is Kind.MEMORY, result
        assert (await grade(pool, ECHO, {"want": 2})).reward == 2.0

    run(body, Limits(memory_bytes=64 << 20))


def test_a_call_that_is_cancelled_ends_its_grade(run: Run) -> None:
    async def body(pool: Pool) -> None:
        task = asyncio.create_task(grade(pool, "while True: pass"))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await grade(pool, ECHO, {"want": 1})).reward == 1.0

    before = below(os.getpid())
    run(body)
    wait_until(lambda: not new_below(before) and not orphans())


def test_a_closed_sandbox_refuses_calls(run: Run) -> None:
    async def body(pool: Pool) -> None:
        await pool.close()
        with pytest.raises(SandboxUnavailable, match="closed"):
            await grade(pool, ECHO, {"want": 1})
        await pool.close()

    run(body)


def test_closing_a_sandbox_ends_its_calls(run: Run) -> None:
    async def body(pool: Pool) -> None:
        task = asyncio.create_task(grade(pool, "while True: pass"))
        await asyncio.sleep(0.3)
        await pool.close()
        with pytest.raises(SandboxUnavailable, match="closed"):
            await asyncio.wait_for(task, 5)

    run(body)
