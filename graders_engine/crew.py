"""The fixed number of tasks that drain a data set."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from graders_engine.errors import LifecycleError
from graders_engine.outcome import RowOutcome

Grade = Callable[[int, Any], Awaitable[RowOutcome]]
"""Grades one row, given its place and the row."""
Deliver = Callable[[RowOutcome | BaseException], None]
"""Takes the outcomes in the rows' order; an exception stands for a row that ends the whole run."""


class Crew:
    """Grades the rows that it is fed, several at once, and delivers their outcomes in order.

    A row that needs no waiting, such as one whose judge's reply was kept, costs no task of its own. Use it
    from one event loop.

    Args:
        grade: what is done with a row.
        size: rows in hand at once.
        deliver: takes the outcomes.
    """

    def __init__(self, grade: Grade, size: int, deliver: Deliver) -> None:
        self._grade, self._size, self._deliver = grade, size, deliver
        self._waiting: deque[tuple[int, Any]] = deque()
        self._done: dict[int, RowOutcome | BaseException] = {}
        self._next = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_work = 0
        self._ended = False

    def feed(self, rows: Iterable[tuple[int, Any]]) -> None:
        """Take on more rows, with their places: 0, 1, 2, ..."""
        self._waiting.extend(rows)
        for _ in range(min(self._size - self._at_work, len(self._waiting))):
            self._at_work += 1
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self) -> None:
        while self._waiting:
            index, row = self._waiting.popleft()
            done: RowOutcome | BaseException
            try:
                done = await self._grade(index, row)
            except asyncio.CancelledError:
                if self._ended:
                    raise
                # Not this task was cancelled, but what it waited for: without a word its taker would wait on.
                done = LifecycleError("The engine was closed while rows were being graded.")
            except Exception as error:  # noqa: BLE001 - handed on: whoever takes the outcomes raises it
                done = error
            self._done[index] = done
            while self._next in self._done:
                self._deliver(self._done.pop(self._next))
                self._next += 1
        # Said here and not when the task is collected: rows fed in between would wait for nobody.
        self._at_work -= 1

    async def end(self) -> None:
        """Stop whatever is not done."""
        self._ended = True
        self._waiting.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
