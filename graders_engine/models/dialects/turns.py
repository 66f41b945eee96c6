"""Who asks first while it is not known what a model supports: one request, soon another one, then all."""

from __future__ import annotations

import asyncio
from collections import deque

TICK_S = 0.05
"""Time passes in such steps: while an import or a long row keeps the event loop, it does not pass."""
HOLD_TICKS = 8
"""How long the others wait for a first answer; most refusals come within it, and a verdict takes longer."""
SECOND_TICKS = 4
"""After so many of them a second request goes ahead, in case that the first one hangs."""
FAILED_TICKS = 1
REJECTED_TICKS = 2
"""What a request ahead takes from the others' waiting if its answer does not say what is supported: little
after an outage; more after an answer about itself alone, for the endpoint has read it."""


class Turns:
    """The turns of one model's requests. Use it from one event loop."""

    def __init__(self) -> None:
        self._ahead = 0
        self._left = HOLD_TICKS
        self._second = HOLD_TICKS - SECOND_TICKS
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_over(self) -> bool:
        """Whether nobody waits any more."""
        return self._left <= 0

    async def go_ahead(self) -> bool:
        """Whether this request goes ahead, at once or after a wait; False if it is to look again first."""
        if self._ahead == 0:
            self._ahead = 1
            return True
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[bool] = loop.create_future()
        self._waiting.append(waiting)
        if self._timer is None:
            self._timer = loop.call_later(TICK_S, self._tick)
        try:
            return await waiting
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            elif not waiting.cancelled() and waiting.result():
                self.end()
            raise

    def _tick(self) -> None:
        self._timer = None
        self._left -= 1
        if self._left <= 0:
            self._look_again()
        elif self._left <= self._second and self._waiting:
            self._second = 0
            self._ahead += 1
            _wake(self._waiting.popleft(), goes=True)
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def end(self) -> None:
        """A request that went ahead has ended: the others look whether something is left to find out."""
        self._ahead -= 1
        self._look_again()

    def failed(self, *, was_rejected: bool) -> None:
        """Its answer did not say what is supported.

        Args:
            was_rejected: whether the endpoint answered something about this request alone.
        """
        self._left -= REJECTED_TICKS if was_rejected else FAILED_TICKS

    def renew(self, answer_s: float = 0.0) -> None:
        """More is known of what is supported.

        Args:
            answer_s: how long an answer takes that refuses something; the next one may take as long.
        """
        self._left = HOLD_TICKS + round(2 * answer_s / TICK_S)
        self._second = self._left - SECOND_TICKS - round(1.5 * answer_s / TICK_S)

    def _look_again(self) -> None:
        while self._waiting:
            _wake(self._waiting.popleft(), goes=False)


def _wake(waiting: asyncio.Future[bool], *, goes: bool) -> None:
    if not waiting.done():
        waiting.set_result(goes)
