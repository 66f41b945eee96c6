"""Backends that wrap a backend: tries, places, one asking for all, and a budget."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graders_engine.errors import BackendBusy, BackendFailure, BackendRejected, BudgetSpent
from graders_engine.models.base import ModelBackend, ModelReply, ModelRequest
from graders_engine.models.policies import (
    Budget,
    Budgeted,
    Coalesced,
    Limited,
    Observed,
    Price,
    Retrying,
)
from graders_engine.models.retry import RetryPolicy
from graders_engine.models.scripted import Scripted
from graders_engine.outcome import Usage
from tests.judges.clock import in_virtual_time, now
from tests.judges.test_conformance import asking

RETRY = RetryPolicy(attempts=5, total_s=100, wait_initial_s=1, wait_max_s=30)


class Counting:
    """Counts what is in flight; an answer takes a second."""

    signature = "counting"

    def __init__(self) -> None:
        self.in_flight = self.most = self.answered = 0

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            await asyncio.sleep(1)
        finally:
            self.in_flight -= 1
        self.answered += 1
        return ModelReply("{}", request.model, Usage(8, 10, 2))

    async def close(self) -> None:
        pass


def times_of(backend: Scripted, retry: RetryPolicy) -> list[float]:
    """When each try of one request went, from the first; whatever came of it."""
    went: list[float] = []

    class Timed:
        signature = ""

        async def complete(self, request: ModelRequest) -> ModelReply:
            went.append(now())
            return await backend.complete(request)

        async def close(self) -> None:
            pass

    async def main() -> None:
        with pytest.raises(BackendFailure):
            await Retrying(Timed(), retry).complete(asking("x"))

    in_virtual_time(main())
    return [at - went[0] for at in went]


def test_only_what_may_pass_is_tried_again() -> None:
    for failure in (BackendFailure("no"), BackendRejected("no", status=400)):
        assert len(times_of(Scripted(failure), RETRY)) == 1
    assert len(times_of(Scripted(BackendBusy("wait")), RETRY)) == 5


def test_an_error_that_is_no_backend_s_goes_through_at_once() -> None:
    backend = Scripted([KeyError("a bug"), 1.0])
    with pytest.raises(KeyError):
        in_virtual_time(Retrying(backend, RETRY).complete(asking("x")))
    assert len(backend.requests) == 1


@settings(max_examples=50)
@given(
    attempts=st.integers(1, 8),
    total=st.floats(0, 60),
    asked=st.one_of(st.none(), st.floats(0, 200)),
)
def test_tries_waits_and_time_are_bounded(attempts: int, total: float, asked: float | None) -> None:
    retry = RetryPolicy(attempts=attempts, total_s=total, wait_initial_s=1, wait_max_s=20)
    times = times_of(Scripted(BackendBusy("wait", asked)), retry)
    assert 1 <= len(times) <= attempts
    assert times[-1] <= total + 1e-6
    waits = [later - earlier for earlier, later in pairwise(times)]
    for n, wait in enumerate(waits):
        if asked is None:
            assert min(2**n, 20) / 2 - 1e-6 <= wait <= min(2**n, 20) + 1e-6
        else:
            assert min(asked, 20) - 1e-6 <= wait <= min(1.25 * asked, 20) + 1e-6
    # Fewer tries than allowed: only because the next wait would have passed the time.
    longest = 20 if asked is None else min(1.25 * asked, 20)
    assert len(times) == attempts or times[-1] + longest > total - 1e-6


def test_the_last_failure_tells_how_often_it_was_tried() -> None:
    async def failing(backend: ModelBackend) -> str:
        with pytest.raises(BackendFailure) as failed:
            await Retrying(backend, RETRY).complete(asking("x"))
        return str(failed.value)

    assert "HTTP 503 (5 tries in" in in_virtual_time(failing(Scripted(BackendBusy("HTTP 503"))))
    once = Retrying(Scripted(BackendBusy("HTTP 503")), RetryPolicy(attempts=1))
    assert in_virtual_time(failing(once)).startswith("HTTP 503 (one try)")


@settings(max_examples=30)
@given(places=st.integers(1, 20), requests=st.integers(1, 60))
def test_no_more_are_in_flight_than_there_are_places(places: int, requests: int) -> None:
    backend = Counting()

    async def main() -> float:
        began = now()
        limited = Limited(backend, places)
        await asyncio.gather(*(limited.complete(asking(str(n))) for n in range(requests)))
        return now() - began

    took = in_virtual_time(main())
    assert backend.most == min(places, requests)
    assert took == pytest.approx(-(-requests // places), abs=0.01)


def test_a_place_is_given_back_by_who_fails_and_by_who_gives_up() -> None:
    async def main() -> None:
        limited = Limited(Scripted([BackendFailure("no"), *[1.0] * 3], latency_s=1), 1)
        with pytest.raises(BackendFailure):
            await limited.complete(asking("x"))
        given_up = asyncio.create_task(limited.complete(asking("x")))
        waiting = asyncio.create_task(limited.complete(asking("y")))
        await asyncio.sleep(0.5)
        given_up.cancel()
        waiting.cancel()
        assert await limited.complete(asking("z"))

    in_virtual_time(main())


def test_a_hundred_of_the_same_in_flight_are_one_request() -> None:
    backend = Scripted(0.5, latency_s=1)

    async def main() -> None:
        shared = Coalesced(backend)
        replies = await asyncio.gather(*(shared.complete(asking("x")) for _ in range(100)))
        assert {reply.text for reply in replies} == {replies[0].text}
        assert [reply.kept for reply in replies] == [False] + 99 * [True]  # it is paid once
        assert len(backend.requests) == 1
        await shared.complete(asking("x"))  # no longer in flight: asked again

    in_virtual_time(main())
    assert len(backend.requests) == 2


def test_different_ones_are_not_shared() -> None:
    backend = Scripted(0.5, latency_s=1)

    async def main() -> None:
        shared = Coalesced(backend)
        kinds = [asking("x"), asking("y"), asking("x", repeat=1), asking("x", "x")]
        await asyncio.gather(*(shared.complete(request) for request in kinds))

    in_virtual_time(main())
    assert len(backend.requests) == 4


@pytest.mark.parametrize("first", [True, False], ids=["the first", "a later one"])
def test_an_asker_that_gives_up_takes_nothing_from_the_others(first: bool) -> None:
    backend = Scripted(0.5, latency_s=1)

    async def main() -> None:
        shared = Coalesced(backend)
        tasks = [asyncio.create_task(shared.complete(asking("x"))) for _ in range(5)]
        await asyncio.sleep(0.5)
        tasks.pop(0 if first else 3).cancel()
        replies = await asyncio.gather(*tasks)
        # One that is left pays, or nobody would count the tokens.
        assert [reply.kept for reply in replies] == [False, True, True, True]

    in_virtual_time(main())
    assert len(backend.requests) == 1


def test_a_failure_reaches_all_who_wait_and_is_not_kept() -> None:
    backend = Scripted([BackendFailure("no"), 0.5], latency_s=1)

    async def main() -> None:
        shared = Coalesced(backend)
        askers = (shared.complete(asking("x")) for _ in range(5))
        outcomes = await asyncio.gather(*askers, return_exceptions=True)
        assert all(isinstance(outcome, BackendFailure) for outcome in outcomes)
        assert await shared.complete(asking("x"))

    in_virtual_time(main())


def test_a_failure_that_nobody_waits_for_any_more_leaves_no_warning() -> None:
    async def main() -> None:
        shared = Coalesced(Scripted(BackendFailure("no"), latency_s=1))
        task = asyncio.create_task(shared.complete(asking("x")))
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.sleep(1)
        await shared.close()

    in_virtual_time(main())


def spend(budget: Budget, requests: int, at_once: int) -> tuple[Counting, int]:
    """The backend that was asked, and how many askings found the budget spent."""
    backend = Counting()

    async def main() -> int:
        budgeted = Budgeted(Limited(backend, at_once), budget)
        askers = (budgeted.complete(asking(str(n))) for n in range(requests))
        outcomes = await asyncio.gather(*askers, return_exceptions=True)
        return sum(isinstance(outcome, BudgetSpent) for outcome in outcomes)

    return backend, in_virtual_time(main())


@settings(max_examples=50)
@given(most=st.integers(1, 400), requests=st.integers(1, 60), at_once=st.integers(1, 60))
def test_a_budget_of_tokens_is_kept_to(most: int, requests: int, at_once: int) -> None:
    backend, stopped = spend(Budget(max_tokens=most), requests, at_once)
    # Each takes 10 tokens: all that fit are asked, and the first, whose price nobody knows.
    assert backend.answered == min(max(most // 10, 1), requests)
    assert stopped == requests - backend.answered


def test_a_budget_of_money_is_kept_to() -> None:
    price = Price(input=1_000_000, output=2_000_000)  # 8 + 4 a request
    backend, stopped = spend(Budget(max_cost=60.0, prices={"judge-1": price}), 100, 10)
    assert (backend.answered, stopped) == (5, 95)


def test_the_first_request_goes_alone_and_all_others_together() -> None:
    backend, _ = spend(Budget(max_tokens=10_000), 50, 100)
    assert backend.most == 49


def test_without_a_limit_nobody_waits_for_the_first() -> None:
    backend, _ = spend(Budget(), 50, 100)
    assert backend.most == 50


def test_behind_the_first_that_finds_the_budget_spent_nobody_is_asked() -> None:
    async def main() -> None:
        reply = ModelReply("{}", "m", Usage(8, 10, 2))
        backend = Scripted([reply, BackendFailure("no"), reply], latency_s=1)
        budgeted = Budgeted(backend, Budget(max_tokens=20))
        await budgeted.complete(asking("x"))
        under_way = asyncio.create_task(budgeted.complete(asking("y")))
        await asyncio.sleep(0.5)
        with pytest.raises(BudgetSpent, match="10 of 20 tokens are used, and the 1 request"):
            await budgeted.complete(asking("z"))
        with pytest.raises(BackendFailure):  # it cost nothing: there would be room again
            await under_way
        with pytest.raises(BudgetSpent):
            await budgeted.complete(asking("z"))
        assert len(backend.requests) == 2

    in_virtual_time(main())


def test_a_failure_costs_nothing_and_gives_back_what_was_set_aside() -> None:
    async def main(budget: Budget) -> None:
        budgeted = Budgeted(Scripted([BackendFailure("no")] * 3 + [0.5] * 2), budget)
        for _ in range(3):
            with pytest.raises(BackendFailure):
                await budgeted.complete(asking("x"))
        assert (budget.tokens, budget.cost) == (0, 0.0)
        await budgeted.complete(asking("x"))
        assert budget.tokens > 0

    in_virtual_time(main(Budget(max_tokens=1)))


@pytest.mark.parametrize(
    ("usage", "price", "cost"),
    [
        (Usage(1000, 1500, 500), Price(input=2, output=10), 0.007),
        (Usage(1000, 1500, 500, 400), Price(input=2, output=10), 0.007),
        (Usage(1000, 1500, 500, 400), Price(input=2, output=10, cached_input=0.5), 0.0064),
        (Usage(1000, 1500, 500, 400), Price(input=2, output=10, cached_input=0), 0.0062),
        (Usage(100, 100, 0, 400), Price(input=2, output=10, cached_input=1), 0.0001),
        (Usage(), Price(input=2, output=10), 0.0),
    ],
)
def test_what_tokens_cost(usage: Usage, price: Price, cost: float) -> None:
    assert price.of(usage) == pytest.approx(cost)


def test_an_observer_hears_of_replies_and_of_failures() -> None:
    heard: list[tuple[ModelRequest, ModelReply | Exception]] = []
    tell: Callable[[ModelRequest, ModelReply | Exception], None] = lambda *told: heard.append(told)  # noqa: E731 - typed

    async def main() -> None:
        observed = Observed(Scripted([0.5, BackendFailure("no")]), tell)
        await observed.complete(asking("x"))
        with pytest.raises(BackendFailure):
            await observed.complete(asking("y"))

    in_virtual_time(main())
    assert [type(told).__name__ for _, told in heard] == ["ModelReply", "BackendFailure"]
