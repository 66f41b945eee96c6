"""When requests go, in virtual time: what is granted is kept to, and what is borne is found."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graders_engine.errors import BackendBusy
from graders_engine.models.base import ModelReply, ModelRequest
from graders_engine.models.policies import Limited, Retrying
from graders_engine.models.rate_limiter import RateLimiter
from graders_engine.models.retry import RetryPolicy
from graders_engine.outcome import Usage
from tests.judges.clock import in_virtual_time, now
from tests.judges.test_conformance import asking

Bears = Callable[[float], float]


class Endpoint:
    """Bears so many requests a second (a token bucket), and refuses what is above.

    Args:
        bears: the requests a second, by the time.
        burst: how many of them may come at once.

    Attributes:
        went: when each request arrived, and whether it was refused.
    """

    signature = "an endpoint"

    def __init__(
        self, bears: Bears, latency_s: float = 0.2, tokens: int = 10, burst: float = 1.0
    ) -> None:
        self._bears, self._latency_s, self._tokens = bears, latency_s, tokens
        self._burst = self._level = burst
        self._at = 0.0
        self.went: list[tuple[float, bool]] = []

    async def complete(self, request: ModelRequest) -> ModelReply:
        rate = self._bears(now())
        self._level = min(self._level + (now() - self._at) * rate, self._burst)
        self._at = now()
        refused = self._level < 1.0
        self.went.append((now(), refused))
        if refused:
            await asyncio.sleep(0.01)
            raise BackendBusy("HTTP 429", overloaded=True)
        self._level -= 1.0
        await asyncio.sleep(self._latency_s)
        return ModelReply("{}", request.model, Usage(self._tokens, self._tokens))

    async def close(self) -> None:
        pass


def run(
    endpoint: Endpoint, requests: int, limiter: Callable[[], RateLimiter], concurrency: int = 64
) -> float:
    """Seconds until all are answered; none may be lost. How long attempts wait is the same each time."""
    random.seed(0)

    async def main() -> float:
        began = now()
        # A first failed row would end the crew's work: patience outlasts every refusal here.
        retry = RetryPolicy(attempts=1000, total_s=1e6)
        backend = Retrying(Limited(endpoint, concurrency, limiter()), retry)
        free = asyncio.Semaphore(concurrency)

        async def one(n: int) -> None:
            async with free:
                await backend.complete(asking(str(n)))

        await asyncio.gather(*(one(n) for n in range(requests)))
        return now() - began

    return in_virtual_time(main())


def most_within(endpoint: Endpoint, seconds: float) -> int:
    """The most requests that arrived within so many seconds."""
    times = [at for at, _ in endpoint.went]
    return max(sum(begin <= at < begin + seconds for at in times) for begin in times)


def bears_all(latency_s: float = 0.2, tokens: int = 10) -> Endpoint:
    return Endpoint(lambda at: 0.0, latency_s, tokens, burst=math.inf)


@settings(max_examples=25)
@given(per_minute=st.integers(6, 3000), requests=st.integers(1, 60))
def test_requests_per_minute_are_held_from_the_first_on(per_minute: int, requests: int) -> None:
    endpoint = bears_all()
    took = run(endpoint, requests, lambda: RateLimiter(per_minute))
    # Evenly, with no burst: the one that begins a window, and the slack of timers.
    for seconds in (1.0, 10.0, 60.0):
        assert most_within(endpoint, seconds) <= (seconds + 0.01) * per_minute / 60 + 1
    assert took <= (requests - 1) * 60 / per_minute + 0.3


def test_an_idle_time_is_not_saved_up() -> None:
    endpoint = bears_all(latency_s=0)

    async def main() -> None:
        limited = Limited(endpoint, 64, RateLimiter(60))
        await limited.complete(asking("x"))
        await asyncio.sleep(600)
        await asyncio.gather(*(limited.complete(asking(str(n))) for n in range(10)))

    in_virtual_time(main())
    assert most_within(endpoint, 5.0) <= 6


@settings(max_examples=25)
@given(tokens=st.integers(1, 500), per_minute=st.integers(600, 60_000))
def test_tokens_per_minute_are_held_once_replies_tell_them(tokens: int, per_minute: int) -> None:
    endpoint = bears_all(tokens=tokens)
    requests = 100
    took = run(endpoint, requests, lambda: RateLimiter(None, per_minute), concurrency=4)
    granted = requests * tokens * 60 / per_minute
    # The last ones' tokens are waited for by nobody, the first ones' were not known.
    ahead = 8 * tokens * 60 / per_minute
    floor = requests / 4 * 0.2
    assert max(granted, floor) - ahead - 1 <= took <= max(granted, floor) * 1.1 + ahead + 1


def test_nothing_waits_while_nothing_limits() -> None:
    assert run(bears_all(), 640, RateLimiter) == pytest.approx(2.0, abs=0.01)


def late_refusals(endpoint: Endpoint) -> float:
    """Share of refusals among the requests that arrived after the first five seconds."""
    late = [refused for at, refused in endpoint.went if at > endpoint.went[0][0] + 5]
    return sum(late) / len(late)


@settings(max_examples=6)
@given(
    rate=st.floats(2.0, 40.0),
    latency=st.floats(0.02, 1.0),
    burst=st.sampled_from([0.0, 0.25, 1.0]),
)
def test_the_pace_finds_what_an_endpoint_bears(rate: float, latency: float, burst: float) -> None:
    endpoint = Endpoint(lambda at: rate, latency, burst=max(burst * rate, 1.0))
    requests = int(40 * rate)
    took = run(endpoint, requests, RateLimiter, concurrency=128)
    assert took <= 1.5 * requests / rate
    assert late_refusals(endpoint) <= 0.05 + 3 / requests


@pytest.mark.parametrize("burst", [1.0, 5.0, 20.0])
def test_a_thousand_rows_at_twenty_a_second_take_little_longer_than_they_must(burst: float) -> None:
    endpoint = Endpoint(lambda at: 20.0, 0.1, burst=burst)
    assert run(endpoint, 1000, RateLimiter) <= 1.25 * 50
    assert late_refusals(endpoint) < 0.03


def test_the_pace_follows_an_endpoint_that_comes_to_bear_more() -> None:
    steady, growing = Endpoint(lambda at: 5.0), Endpoint(lambda at: 5.0 if at < 1030 else 50.0)
    assert run(growing, 1000, RateLimiter) < 0.5 * run(steady, 1000, RateLimiter)


def test_the_pace_follows_an_endpoint_that_comes_to_bear_less() -> None:
    endpoint = Endpoint(lambda at: 50.0 if at < 1010 else 5.0)
    run(endpoint, 700, RateLimiter)
    late = [refused for at, refused in endpoint.went if at > 1020]
    assert sum(late) <= 0.1 * len(late)


def test_an_outage_in_between_ends_with_it() -> None:
    endpoint = Endpoint(lambda at: 0.0 if 1010 < at < 1040 else 20.0)
    assert run(endpoint, 600, RateLimiter) < 30 + 30 + 60


def test_a_pace_that_is_not_adaptive_keeps_to_what_was_granted() -> None:
    endpoint = Endpoint(lambda at: 5.0)
    limiter = RateLimiter(600, adaptive=False)
    run(endpoint, 100, lambda: limiter)
    assert limiter.rate == 10.0


def test_refusals_of_requests_that_went_before_a_cut_do_not_cut_again() -> None:
    async def main() -> tuple[float, float]:
        limiter = RateLimiter(600)
        went = [await limiter.wait() for _ in range(3)]
        for at in went:
            limiter.on_success(1)
            del at
        await asyncio.sleep(0.05)
        limiter.on_throttled(went[2])
        once = limiter.rate
        limiter.on_throttled(went[0])
        limiter.on_throttled(went[1])
        return once, limiter.rate

    once, then = in_virtual_time(main())
    assert once == then < 10.0


class Unsteady(Endpoint):
    """Bears any rate, but answers each nth request with 503; all of them while it is `down`."""

    def __init__(self, nth: int, down: Callable[[float], bool] = lambda at: False) -> None:
        super().__init__(lambda at: 0.0, burst=math.inf)
        self._nth, self._down = nth, down

    async def complete(self, request: ModelRequest) -> ModelReply:
        if self._down(now()) or len(self.went) % self._nth == self._nth - 1:
            self.went.append((now(), True))
            await asyncio.sleep(0.01)
            raise BackendBusy("HTTP 503", overloaded=True, status=503)
        return await super().complete(request)


def test_a_503_now_and_then_does_not_slow_requests_down() -> None:
    steady, unsteady = bears_all(), Unsteady(20)
    assert run(unsteady, 2000, RateLimiter) < 1.5 * run(steady, 2000, RateLimiter)


def test_an_endpoint_that_answers_nothing_but_503_gets_fewer_requests() -> None:
    began: list[float] = []

    def is_down(at: float) -> bool:
        began.append(at)
        return began[0] + 10 < at < began[0] + 40

    endpoint = Unsteady(10**9, is_down)
    run(endpoint, 5000, RateLimiter)
    refused = [at for at, was_refused in endpoint.went if was_refused]
    assert 0 < len(refused) < 30 * 10  # without a limit it would be asked 30 * 64 / 0.01 times
