"""How often and how long a request is tried, and what can be seen of it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from graders_engine.errors import BackendBusy, BackendFailure

T = TypeVar("T")

_log = logging.getLogger("graders_engine")


@dataclass(frozen=True, slots=True)
class Retry:
    """A failed attempt after which the same request is sent again.

    Attributes:
        target: what was asked: an address without its secrets, or the name of an endpoint.
        attempt: the number of the attempt that failed, from 1.
        wait_s: seconds until the next attempt.
        error: why it failed.
    """

    target: str
    attempt: int
    wait_s: float
    error: BackendBusy


OnRetry = Callable[[Retry], None]
"""Called before the wait for each further attempt, in the event loop."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to try.

    Attributes:
        attempts: attempts for one request, including the first.
        total_s: no attempt begins later than this after the first one.
        unreachable_s: nor later than this, as long as there was no connection at all.
        attempt_s: time limit of one attempt.
        wait_initial_s: wait before the second attempt; it doubles for each further one, with jitter.
        wait_max_s: longest wait between two attempts, even if the server asks for more.
    """

    attempts: int = 6
    total_s: float = 300.0
    unreachable_s: float = 30.0
    attempt_s: float = 120.0
    wait_initial_s: float = 0.5
    wait_max_s: float = 60.0

    async def call(
        self,
        once: Callable[[], Awaitable[T]],
        *,
        target: str = "",
        on_retry: OnRetry | None = None,
    ) -> T:
        """Try until it succeeds, fails for good, or the attempts or the time are used up.

        Args:
            once: one attempt.
            target: what is asked, for `on_retry` and the log.
            on_retry: called before each further attempt.

        Raises:
            BackendFailure: what `once` raised last; only a `BackendBusy` is tried again.
        """
        began = time.monotonic()
        attempt = 0
        limit_s = min(self.unreachable_s, self.total_s)
        while True:
            attempt += 1
            try:
                return await once()
            except BackendBusy as error:
                if error.cause != "unreachable":
                    limit_s = self.total_s
                wait_s = self._wait(attempt, error.wait_s)
                spent_s = time.monotonic() - began
                if attempt >= self.attempts or spent_s + wait_s > limit_s:
                    tries = f"{attempt} tries in {spent_s:.1f} s" if attempt > 1 else "one try"
                    raise BackendFailure(f"{error} ({tries})", **error.answer()) from None
                retry = Retry(target, attempt, wait_s, error)
            _log.debug(
                "%s: attempt %d failed, the next one follows in %.2f s: %s",
                target, attempt, wait_s, retry.error,
            )  # fmt: skip
            if on_retry is not None:
                on_retry(retry)
            import asyncio  # policies are made where nothing is asked, too

            await asyncio.sleep(wait_s)

    def _wait(self, attempt: int, requested_s: float | None) -> float:
        import random

        jitter = random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
        if requested_s is not None:
            # A little later than requested, and not all at once, or the same crowd is refused again.
            return min(requested_s * (1.5 - 0.5 * jitter), self.wait_max_s)
        return min(self.wait_initial_s * 2.0 ** (attempt - 1), self.wait_max_s) * jitter


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as the server asks for them: in milliseconds, in seconds, or as a date."""
    if "retry-after" not in headers and "retry-after-ms" not in headers:
        return None
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        return max(seconds, 0.0) if math.isfinite(seconds) else None
    from email.utils import parsedate_to_datetime  # few servers give a date

    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
        return max(date.timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None
