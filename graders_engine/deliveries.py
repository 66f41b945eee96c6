"""What a thread with an event loop delivers to a thread that waits for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from graders_engine.loop_thread import POLL_S

T = TypeVar("T")


class Deliveries(Generic[T]):
    """Values in the order in which they were put, those of one turn of the loop together.

    To wake the other thread for each of them would have both wait for each other's lock.

    Args:
        loop: where they come from.
        require_usable: raises if no more will come; asked from time to time while `take` waits.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, require_usable: Callable[[], object]
    ) -> None:
        self._loop, self._require_usable = loop, require_usable
        self._gathered: list[T] = []
        self._sent: SimpleQueue[list[T]] = SimpleQueue()
        self._arrived: deque[T] = deque()

    def put(self, value: T) -> None:
        """In the loop: deliver a value.

        Raises:
            RuntimeError: the loop is closed.
        """
        self._gathered.append(value)
        if len(self._gathered) == 1:
            self._loop.call_soon(self._send)

    def _send(self) -> None:
        gathered, self._gathered = self._gathered, []
        self._sent.put(gathered)

    def take(self) -> T:
        """In the other thread: the next value, waiting for it."""
        while not self._arrived:
            try:
                self._arrived.extend(self._sent.get(timeout=POLL_S))
            except Empty:
                self._require_usable()
        return self._arrived.popleft()
