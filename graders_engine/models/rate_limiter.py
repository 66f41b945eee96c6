"""When the next request may go: at the rate that was granted, and at the rate that an endpoint accepts."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from graders_engine.errors import BackendBusy

T = TypeVar("T")

_log = logging.getLogger("graders_engine")

WINDOW_S = 1.0
"""Accepted requests are counted over this time; after the first refusal nothing is sent for as long."""
MARGIN = 0.95
"""After a refusal, the share of the rate accepted just before that is kept."""
STEEPEST_CUT = 0.5
"""One refusal leaves at least this share of the rate."""
MIN_PER_S = 0.2
"""Lowest rate; an endpoint that rejects even this one is down, and retries handle that."""
CREEP_PER_S = 0.004
"""Relative growth of the rate a second just after a refusal; it doubles every `CALM_S` without another."""
CALM_S = 8.0
RECOVERY_PER_S = 0.5
"""Largest relative growth a second; used far below the rate accepted before, and while that is unknown."""
SLACK_S = 0.01
"""How late a request may go without delaying the next one: timers are no finer than this."""
STRAY_SHARE = 0.2
"""A 503 is no limit while no larger share of the answers is one: some gateways give it by chance."""
POLL_S = 0.25
"""How often a waiting request checks whether its turn has moved."""


class RateLimiter:
    """Spaces requests out.

    Without limits nothing waits. The first refusal (429, 503) sets the rate to what was accepted around it;
    from there it grows fast up to the second one. Each further refusal cuts it, and in between it creeps
    up, faster the longer nothing is refused: additive increase and multiplicative decrease as in Chiu and
    Jain (1989), but relative in both, so that it suits endpoints that accept one request a second and
    those that accept a thousand. Use it from one event loop.

    Args:
        requests_per_minute: upper limit.
        tokens_per_minute: upper limit on the tokens that replies say they took; the first requests are
            sent before anything is known.
        adaptive: whether refusals change the rate.

    Attributes:
        rate: requests a second; infinite while nothing limits them.
    """

    def __init__(
        self,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        *,
        adaptive: bool = True,
    ) -> None:
        self.adaptive = adaptive
        self._max_rate = math.inf if requests_per_minute is None else requests_per_minute / 60.0
        self._tokens_per_s = math.inf if tokens_per_minute is None else tokens_per_minute / 60.0
        self.rate = self._max_rate
        self._accepted_rate = math.inf
        self._settling = False
        self._turn_at = -math.inf
        self._tokens_at = -math.inf
        self._typical_tokens = 0.0
        self._cut_at = self._grown_at = -math.inf
        self._accepted_at: deque[float] = deque()
        self._unavailable_at: deque[float] = deque()
        self._in_flight = 0
        import asyncio  # engines import this module that ask nothing

        self._queue = asyncio.Lock()

    async def call(self, once: Callable[[], Awaitable[T]], tokens_of: Callable[[T], int]) -> T:
        """Wait for a turn, send a request, and learn from what comes back.

        Args:
            once: sends it.
            tokens_of: how many tokens its answer says it took.

        Raises:
            BackendFailure: as `once` raises it; only a refusal of an overloaded endpoint changes the rate.
        """
        sent_at = await self.wait()
        self._in_flight += 1
        try:
            answer = await once()
        except BackendBusy as error:
            if error.overloaded and not self._is_stray(error):
                self.on_throttled(sent_at)
            raise
        finally:
            self._in_flight -= 1
        self.on_success(tokens_of(answer))
        return answer

    async def wait(self) -> float:
        """Wait for a turn, first come, first served; gives the time at which the request goes."""
        if self.rate == math.inf and self._tokens_per_s == math.inf and not self._settling:
            return time.monotonic()
        async with self._queue:
            while True:
                now = time.monotonic()
                turn = max(self._turn_at, self._tokens_at)
                if turn <= now:
                    break
                import asyncio

                await asyncio.sleep(min(turn - now, POLL_S))
            self._settle()
            self._grow(now)
            if self.rate < math.inf:
                self._turn_at = max(self._turn_at, now - SLACK_S) + 1.0 / self.rate
            if self._tokens_per_s < math.inf:
                spent_s = self._typical_tokens / self._tokens_per_s
                self._tokens_at = max(self._tokens_at, now - SLACK_S) + spent_s
            return now

    def on_success(self, tokens: int) -> None:
        """A request was answered, and took this many tokens."""
        now = time.monotonic()
        if self.adaptive:
            self._accepted_at.append(now)
            while self._accepted_at[0] < now - 2 * WINDOW_S:
                self._accepted_at.popleft()
        if self._tokens_per_s < math.inf:
            # The tokens that the reply took beyond the estimate delay the requests that follow.
            beyond = (tokens - self._typical_tokens) / self._tokens_per_s
            self._tokens_at = max(self._tokens_at, now - SLACK_S) + beyond
            self._typical_tokens += 0.1 * (tokens - self._typical_tokens)

    def _is_stray(self, error: BackendBusy) -> bool:
        """Whether a refusal is a 503 among many answers, which says nothing about the rate."""
        if error.status != 503 or error.wait_s is not None:
            return False
        now = time.monotonic()
        self._unavailable_at.append(now)
        while self._unavailable_at[0] < now - 2 * WINDOW_S:
            self._unavailable_at.popleft()
        refused = len(self._unavailable_at)
        # Refusals come back sooner than answers, so what is in flight counts as accepted.
        accepted = self._recently(now, 2 * WINDOW_S) * WINDOW_S + self._in_flight
        return refused <= STRAY_SHARE * (refused + accepted)

    def on_throttled(self, sent_at: float) -> None:
        """A request sent at that time was answered with 429 or 503."""
        if not self.adaptive or sent_at <= self._cut_at:
            return  # it was sent before the rate was cut
        now = time.monotonic()
        self._cut_at = self._grown_at = now
        if self.rate == math.inf and not self._settling:
            _log.warning(
                "an endpoint answers 429 or 503: fewer requests are sent until it accepts more "
                "(--no-adaptive keeps the rate)"
            )
        if self.rate == math.inf or self._settling:
            # Refusals come back sooner than answers: count what was accepted once those are in.
            self._settling = True
            self._turn_at = now + WINDOW_S
            return
        accepted = self._recently(now, WINDOW_S)
        if accepted > STEEPEST_CUT * self.rate:
            self._accepted_rate = accepted
        else:  # an outage, or answers that take much longer than refusals
            unknown = self._accepted_rate == math.inf
            self._accepted_rate = 0.9 * (self.rate if unknown else self._accepted_rate)
        self.rate = max(MARGIN * min(accepted, self.rate), STEEPEST_CUT * self.rate, MIN_PER_S)

    def _settle(self) -> None:
        """Set the rate to what was accepted around the first refusal."""
        if self._settling:
            self._settling = False
            accepted = self._recently(self._cut_at + WINDOW_S, 2 * WINDOW_S)
            # An endpoint that allows no bursts accepts only the first of a crowd: this is a lower bound,
            # so the rate grows fast until a refusal shows the upper one.
            self.rate = min(max(MARGIN * accepted, 1.0), self._max_rate)
            self._turn_at = -math.inf

    def _recently(self, now: float, seconds: float) -> float:
        return sum(at >= now - seconds for at in self._accepted_at) / WINDOW_S

    def _grow(self, now: float) -> None:
        if self._cut_at == -math.inf or self.rate == math.inf:
            return
        if self.rate < 0.8 * self._accepted_rate:
            growth = RECOVERY_PER_S
        else:
            calm = min((now - self._cut_at) / CALM_S, 16.0)
            growth = min(CREEP_PER_S * 2.0**calm, RECOVERY_PER_S)
        elapsed = min(now - self._grown_at, WINDOW_S)
        self.rate = min(self.rate * math.exp(growth * elapsed), self._max_rate)
        self._grown_at = now
