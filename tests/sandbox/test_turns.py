"""The two templates of a worker take rows in turn, and a worker is one: it ends when any part of it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from graders_engine.sandbox.base import Kind, Limits
from graders_engine.sandbox.pool import Pool
from tests.sandbox.pools import ECHO, Run, grade
from tests.sandbox.test_leaks import below

PARENT = "import os\ndef grade(sample, item): return os.getppid()"
SLEEPER = "import time\ndef grade(sample, item):\n    time.sleep(60 if item['sleeps'] else 0)\n    return 1.0"


def test_two_templates_grade_rows_in_turn() -> None:
    async def parents() -> list[float | None]:
        pool = Pool("none", concurrency=1)
        try:
            return [(await grade(pool, PARENT)).reward for _ in range(6)]
        finally:
            await pool.close()

    found = asyncio.run(parents())
    assert None not in found
    assert found == found[:2] * 3
    assert found[0] != found[1]


def test_a_kill_ends_the_row_that_it_is_meant_for_whichever_template_has_it(run: Run) -> None:
    async def body(pool: Pool) -> None:
        workers = None
        for sleeps in (True, True, False, False):
            result = await grade(pool, SLEEPER, {"sleeps": sleeps})
            assert result.kind is (Kind.TIMEOUT if sleeps else Kind.VALUE)
            workers = workers or pool.workers
        assert pool.workers == workers

    run(body, limits=Limits(wall_s=0.5))


@pytest.mark.parametrize("place", [0, 1])
def test_the_end_of_either_template_costs_no_row(run: Run, place: int) -> None:
    async def body(pool: Pool) -> None:
        for want in range(3):  # the second one has the turn then
            assert (await grade(pool, ECHO, {"want": want})).reward == want
        old = pool.workers[0]
        os.kill((await templates(old.pid))[place], signal.SIGKILL)
        for want in (1, 2, 3):
            assert (await grade(pool, ECHO, {"want": want})).reward == want
        assert pool.workers != [old]

    run(body)


def test_a_waiting_grade_that_is_killed_costs_no_row(run: Run) -> None:
    """Its template reports an end while no row is there: the next row must not take that for its own."""

    async def body(pool: Pool) -> None:
        for want in range(3):
            assert (await grade(pool, ECHO, {"want": want})).reward == want
        pair = await templates(pool.workers[0].pid)
        for waiting in {pid for each in pair for pid in below(each)} - {*pair}:
            os.kill(waiting, signal.SIGKILL)
        time.sleep(0.3)  # the engine is busy meanwhile
        for want in (1, 2, 3):
            assert (await grade(pool, ECHO, {"want": want})).reward == want

    run(body)


async def templates(launcher: int) -> list[int]:
    """Both templates of a worker, the first one first: what forks grades, and is not the launcher."""
    while True:
        first = next((p for p in below(launcher) if len(below(p)) > 1), launcher)
        second = [p for p in below(first) if below(p)]
        if len(second) == 1 and len(below(first)) == 3:
            return [first, *second]
        await asyncio.sleep(0.01)
