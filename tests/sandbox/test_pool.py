"""How a pool keeps, shares and replaces its workers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from graders_engine.sandbox.base import GradeResult, Kind, Limits, Program
from graders_engine.sandbox.pool import Pool
from graders_engine.sandbox.process import WorkerState
from graders_engine.sandbox.replacement import ReplacementPolicy

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandboxes are Linux's")
ECHO = Program("def grade(sample, item): return item")
LIMITS = Limits(wall_s=10.0)


@contextlib.asynccontextmanager
async def opened(pool: Pool) -> AsyncIterator[Pool]:
    try:
        yield pool
    finally:
        await pool.close()


async def grade(pool: Pool, program: Program, number: int) -> GradeResult:
    return await pool.grade(program, b"{}", str(number).encode())


async def pids_after_grades(replacement: ReplacementPolicy, grades: int) -> list[int]:
    """Grade one row after the other, each on whatever worker the pool has; the distinct workers' ids."""
    pids: dict[int, None] = {}
    async with opened(Pool("none", LIMITS, 1, replacement)) as pool:
        for number in range(grades):
            assert (await grade(pool, ECHO, number)).reward == number
            await until_replaced(pool)
            assert len(pool.workers) == 1
            pids[pool.workers[0].pid] = None
    return list(pids)


async def until_replaced(pool: Pool) -> None:
    """Wait for the end of a replacement, which is the case when one worker is left, and idle."""
    for _ in range(1000):
        await asyncio.sleep(0)
        if [worker.state for worker in pool.workers] == [WorkerState.IDLE]:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the replacement does not end")


def test_a_worker_is_replaced_after_its_number_of_grades() -> None:
    policy = ReplacementPolicy(max_grades=3)
    assert len(asyncio.run(pids_after_grades(policy, 10))) == 4


def test_a_worker_that_is_not_worn_stays() -> None:
    assert len(asyncio.run(pids_after_grades(ReplacementPolicy(), 10))) == 1


def test_a_worker_whose_template_has_grown_is_replaced() -> None:
    grown = ReplacementPolicy(max_growth_bytes=-1, grades_per_size_check=2)
    assert len(asyncio.run(pids_after_grades(grown, 6))) == 4
    unchanged = ReplacementPolicy(max_growth_bytes=64 << 20, grades_per_size_check=2)
    assert len(asyncio.run(pids_after_grades(unchanged, 6))) == 1


def test_the_least_recently_used_program_gives_up_its_worker_first() -> None:
    programs = [Program(f"def grade(sample, item): return item + {k}") for k in range(5)]

    async def check() -> None:
        async with opened(Pool("none", LIMITS, concurrency=1)) as pool:
            for program in programs[:4]:
                await grade(pool, program, 0)
            first, second = pool.workers[:2]
            await grade(pool, programs[0], 0)
            await grade(pool, programs[4], 0)
            assert len(pool.workers) == 4
            assert first in pool.workers
            assert second not in pool.workers
            assert second.state is WorkerState.DISCARDED

    asyncio.run(check())


def test_a_busy_worker_is_used_again_however_many_programs_run_meanwhile(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    source = (
        f"import os, time\ndef grade(sample, item):\n"
        f"    while not os.path.exists({str(gate)!r}): time.sleep(0.01)\n    return item"
    )

    async def check() -> None:
        async with opened(Pool("none", Limits(wall_s=100.0), concurrency=2)) as pool:
            waiting = asyncio.create_task(grade(pool, Program(source), 7))
            for k in range(35):  # more than a pool of this size keeps in mind
                other = Program(f"def grade(sample, item): return {k}")
                assert (await grade(pool, other, 0)).reward == k
            gate.touch()
            assert (await waiting).reward == 7
            workers = set(pool.workers)
            assert (await grade(pool, Program(source), 8)).reward == 8
            assert set(pool.workers) == workers

    asyncio.run(check())


def test_a_worker_says_what_it_is_doing() -> None:
    async def check() -> list[WorkerState]:
        async with opened(Pool("none", LIMITS, concurrency=1)) as pool:
            await grade(pool, ECHO, 1)
            [worker] = pool.workers
            states = [worker.state]
            busy = asyncio.create_task(grade(pool, ECHO, 2))
            await asyncio.sleep(0)
            states.append(worker.state)
            assert worker.running is not None
            await busy
            states.append(worker.state)
            assert worker.running is None
            worker.discard()
            states.append(worker.state)
            assert (await grade(pool, ECHO, 3)).reward == 3
            assert pool.workers != [worker]
            return states

    assert [state.value for state in asyncio.run(check())] == [
        "idle", "grading", "idle", "discarded",
    ]  # fmt: skip


@pytest.mark.parametrize("tier", ["paper", ""])
def test_an_unknown_tier_is_refused(tier: str) -> None:
    with pytest.raises(ValueError, match="no sandbox named"):
        Pool(tier)


def test_a_pool_leaves_no_process() -> None:
    async def check() -> list[int]:
        async with opened(Pool("none", LIMITS, concurrency=1)) as pool:
            await grade(pool, ECHO, 1)
            return [worker.pid for worker in pool.workers]

    for pid in asyncio.run(check()):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_grade_that_stops_its_template_is_killed_with_it_and_is_not_tried_again() -> None:
    stop = (
        "import os, signal\ndef grade(sample, item):\n"
        "    os.kill(os.getppid(), signal.SIGSTOP)\n    while True: pass"
    )

    async def check() -> None:
        async with opened(Pool("none", Limits(wall_s=0.3), concurrency=1)) as pool:
            result = await grade(pool, Program(stop), 1)
            assert (result.kind, result.reward) == (Kind.TIMEOUT, None)
            assert result.details == "killed after 0.3 s"
            assert (await grade(pool, ECHO, 2)).reward == 2

    asyncio.run(check())
