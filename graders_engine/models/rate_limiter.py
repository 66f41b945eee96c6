"""When the next request may go: what the endpoint's owner grants, and what it turns out to bear."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque

WINDOW_S = 1.0
"""Over this, accepted requests are counted; and so long nothing goes after the first refusal."""
BELOW = 0.95
"""Share of the rate that was just borne which is kept to after a refusal."""
STEEPEST_CUT = 0.5
"""Of the rate, at least this is left by one refusal."""
LEAST_PER_S = 0.2
"""Requests a second at least: who refuses these has an outage, which the retries bear."""
CREEP_PER_S = 0.004
"""Relative growth of the rate a second just after a refusal; it doubles every `CALM_S` without another."""
CALM_S = 8.0
RECOVERY_PER_S = 0.5
"""Relative growth a second, at most; far below what was borne before, and while that is not known."""
SLACK_S = 0.01
"""How late a request may go without the next one going later: timers are no finer than this."""
LOOK_S = 0.25
"""How often a waiting request looks whether its turn has moved."""


class RateLimiter:
    """Spaces requests out.

    Without limits nothing waits. The first refusal (429, 503) sets the rate to what was accepted around it;
    from there it grows fast up to the second one. Each further refusal cuts it, and in between it creeps
    up, the faster the longer nothing is refused: increase and multiplicative decrease as in Chiu and
    Jain (1989), relative in both, so that it fits endpoints that bear one request a second and a
    thousand. Use it from one event loop.

    Args:
        requests_per_minute: never more than this.
        tokens_per_minute: likewise, of the tokens that the replies say they took; the first ones are sent
            before anything is known.
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
        self._most = math.inf if requests_per_minute is None else requests_per_minute / 60.0
        self._tokens_per_s = math.inf if tokens_per_minute is None else tokens_per_minute / 60.0
        self.rate = self._most
        self._borne = math.inf
        self._settling = False
        self._turn_at = -math.inf
        self._tokens_at = -math.inf
        self._typical_tokens = 0.0
        self._cut_at = self._grown_at = -math.inf
        self._accepted: deque[float] = deque()
        self._queue = asyncio.Lock()

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
                await asyncio.sleep(min(turn - now, LOOK_S))
            self._settle()
            self._grow(now)
            if self.rate < math.inf:
                self._turn_at = max(self._turn_at, now - SLACK_S) + 1.0 / self.rate
            if self._tokens_per_s < math.inf:
                spent_s = self._typical_tokens / self._tokens_per_s
                self._tokens_at = max(self._tokens_at, now - SLACK_S) + spent_s
            return now

    def on_success(self, tokens: int) -> None:
        """A request was answered, and took so many tokens."""
        now = time.monotonic()
        if self.adaptive:
            self._accepted.append(now)
            while self._accepted[0] < now - 2 * WINDOW_S:
                self._accepted.popleft()
        if self._tokens_per_s < math.inf:
            # What the reply took beyond the guess made for it is waited for by the ones that follow.
            beyond = (tokens - self._typical_tokens) / self._tokens_per_s
            self._tokens_at = max(self._tokens_at, now - SLACK_S) + beyond
            self._typical_tokens += 0.1 * (tokens - self._typical_tokens)

    def on_throttled(self, went_at: float) -> None:
        """A request that went at that time was answered with 429 or 503."""
        if not self.adaptive or went_at <= self._cut_at:
            return  # it went before the rate was cut
        now = time.monotonic()
        self._cut_at = self._grown_at = now
        if self.rate == math.inf or self._settling:
            # Refusals come back sooner than answers: what was borne is counted when those are in.
            self._settling = True
            self._turn_at = now + WINDOW_S
            return
        borne = self._recently(now, WINDOW_S)
        if borne > STEEPEST_CUT * self.rate:
            self._borne = borne
        else:  # an outage, or answers that take much longer than refusals
            self._borne = 0.9 * (self.rate if self._borne == math.inf else self._borne)
        self.rate = max(BELOW * min(borne, self.rate), STEEPEST_CUT * self.rate, LEAST_PER_S)

    def _settle(self) -> None:
        """Take what was accepted around the first refusal for what the endpoint bears."""
        if self._settling:
            self._settling = False
            borne = self._recently(self._cut_at + WINDOW_S, 2 * WINDOW_S)
            # An endpoint that allows no bursts takes only the first of a crowd: this is the least that it
            # bears, so the rate grows fast until a refusal says what the most is.
            self.rate = min(max(BELOW * borne, 1.0), self._most)
            self._turn_at = -math.inf

    def _recently(self, now: float, seconds: float) -> float:
        return sum(at >= now - seconds for at in self._accepted) / WINDOW_S

    def _grow(self, now: float) -> None:
        if self._cut_at == -math.inf or self.rate == math.inf:
            return
        if self.rate < 0.8 * self._borne:
            growth = RECOVERY_PER_S
        else:
            calm = min((now - self._cut_at) / CALM_S, 16.0)
            growth = min(CREEP_PER_S * 2.0**calm, RECOVERY_PER_S)
        elapsed = min(now - self._grown_at, WINDOW_S)
        self.rate = min(self.rate * math.exp(growth * elapsed), self._most)
        self._grown_at = now
