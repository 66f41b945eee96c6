"""Whose request is answered next: one at a time, and those for the model that is loaded before others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from graders_engine.inference.errors import ModelBusy

MAX_WAITING = 256
"""Requests that wait; further ones are refused."""
SWITCH_S = 10.0
"""A request for another model that waits so long is the next one: loading takes time."""


@dataclass(eq=False, slots=True)
class _Waiting:
    """A request that waits.

    Attributes:
        model: that it is for.
        turn: done when it is its turn.
        since: when it came.
    """

    model: Hashable
    turn: asyncio.Future[None]
    since: float = field(default_factory=time.monotonic)


class Turns:
    """Gives requests their turn. Use it from one event loop."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []
        self._taken = False
        self._model: Hashable = None

    @asynccontextmanager
    async def turn(self, model: Hashable) -> AsyncIterator[None]:
        """Wait for a request's turn, and have it.

        Raises:
            ModelBusy: too many wait.
        """
        await self._wait(model)
        try:
            yield
        finally:
            self._taken = False
            self._next()

    async def _wait(self, model: Hashable) -> None:
        if len(self._waiting) >= MAX_WAITING:
            raise ModelBusy(f"{MAX_WAITING} requests wait for a model already: try later.")
        one = _Waiting(model, asyncio.get_running_loop().create_future())
        self._waiting.append(one)
        self._next()
        try:
            await one.turn
        except asyncio.CancelledError:
            if one in self._waiting:
                self._waiting.remove(one)
            elif one.turn.done() and not one.turn.cancelled() and one.turn.exception() is None:
                self._taken = False  # it was its turn just now
                self._next()
            raise

    def _next(self) -> None:
        """Let the next one have its turn, if nobody has it."""
        # One that was given up may still stand there: its task has not run since.
        self._waiting = [one for one in self._waiting if not one.turn.done()]
        if self._taken or not self._waiting:
            return
        one = self._waiting[0]
        if time.monotonic() - one.since < SWITCH_S:
            one = next((other for other in self._waiting if other.model == self._model), one)
        self._waiting.remove(one)
        self._taken, self._model = True, one.model
        one.turn.set_result(None)

    def refuse(self, error: Exception) -> None:
        """Raise this where a turn is waited for."""
        for one in self._waiting:
            if not one.turn.done():
                one.turn.set_exception(error)
        self._waiting.clear()
