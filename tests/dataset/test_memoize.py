"""Equal rows are graded once, at the same time or one after the other."""

from __future__ import annotations

import asyncio

import pytest

from graders_engine.dataset.scoring.memoize import Memoized
from graders_engine.errors import BackendFailure
from graders_engine.language.scope import Scope
from graders_engine.outcome import Failure, Flag, Outcome, failed, rewarded

FAILURE = failed(Failure(Flag.PYTHON_RUNTIME, "RuntimeError: out of luck", "grader"))


class Counting:
    """Counts what it is asked; waits in between, as a judge does."""

    waits = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.broken = self.flaky = False

    async def evaluate(self, scope: Scope) -> Outcome:
        self.asked.append(scope.output_text)
        await asyncio.sleep(0)
        if self.flaky:
            return FAILURE
        if self.broken:
            raise BackendFailure("out of order")
        return rewarded(len(scope.output_text))


def scopes(*texts: str) -> list[Scope]:
    return [Scope({"n": 1}, text) for text in texts]


def test_rows_that_come_at_the_same_time_share_one_grading() -> None:
    counting = Counting()

    async def run() -> list[Outcome]:
        once = Memoized(counting)
        return await asyncio.gather(*(once.evaluate(scope) for scope in scopes("a", "bb", "a")))

    assert [outcome.reward for outcome in asyncio.run(run())] == [1, 2, 1]
    assert counting.asked == ["a", "bb"]


def test_the_item_and_the_whole_sample_tell_rows_apart() -> None:
    counting = Counting()
    different = [
        Scope({"n": 1}, "a"),
        Scope({"n": 2}, "a"),
        Scope({"n": 1}, "a", {"output_tools": [{"id": "1"}]}),
        Scope({"n": 1}, "a", {"extra": 1}),
    ]

    async def run() -> None:
        once = Memoized(counting)
        for scope in (*different, *different):
            await once.evaluate(scope)

    asyncio.run(run())
    assert counting.asked == ["a"] * 4


def test_what_was_not_used_for_the_longest_time_is_forgotten_first() -> None:
    counting = Counting()

    async def run() -> None:
        once = Memoized(counting, max_outcomes=2)
        for scope in scopes("a", "b", "a", "c", "a", "b"):
            await once.evaluate(scope)

    asyncio.run(run())
    assert counting.asked == ["a", "b", "c", "b"]


def test_a_failure_is_shared_by_those_who_wait_for_it_and_not_kept() -> None:
    counting = Counting()

    async def run() -> None:
        once = Memoized(counting)
        counting.broken = True
        ended = await asyncio.gather(
            *(once.evaluate(scope) for scope in scopes("a", "a")), return_exceptions=True
        )
        assert [type(error) for error in ended] == [BackendFailure, BackendFailure]
        counting.broken = False
        assert (await once.evaluate(*scopes("a"))).reward == 1

    asyncio.run(run())
    assert counting.asked == ["a", "a"]


def test_an_outcome_that_is_a_failure_is_not_kept_either() -> None:
    counting = Counting()

    async def run() -> None:
        once = Memoized(counting)
        counting.flaky = True
        shared = await asyncio.gather(*(once.evaluate(scope) for scope in scopes("a", "a")))
        assert shared == [FAILURE, FAILURE]
        counting.flaky = False
        assert [(await once.evaluate(scope)).reward for scope in scopes("a", "a")] == [1, 1]

    asyncio.run(run())
    assert counting.asked == ["a", "a"]


def test_one_that_is_cancelled_takes_nobody_along_later() -> None:
    counting = Counting()

    async def run() -> None:
        once = Memoized(counting)
        first = asyncio.create_task(once.evaluate(*scopes("a")))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (await once.evaluate(*scopes("a"))).reward == 1

    asyncio.run(run())


def test_a_row_without_a_json_form_is_graded_each_time() -> None:
    counting = Counting()

    async def run() -> None:
        once = Memoized(counting)
        for _ in range(2):
            await once.evaluate(Scope({"n": {1, 2}.__iter__}, "a"))

    asyncio.run(run())
    assert counting.asked == ["a", "a"]
