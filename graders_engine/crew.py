"""The fixed number of tasks that drain a data set, and the supply of rows for them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from graders_engine.outcome import RowOutcome

GradeRow = Callable[[int, Any], Awaitable[RowOutcome]]
"""Grades one row, given its index and the row."""
Deliver = Callable[[RowOutcome | BaseException], None]
"""Receives the outcomes in row order; an exception takes the place of a row that ends the whole run."""

ROWS_AHEAD = 4
"""Rows started ahead of the oldest unfinished one, as a multiple of the crew's size."""
CHUNK_ROWS = 32
"""Rows passed to the crew at a time: passing them one by one costs more than grading cheap rows."""


class Crew:
    """Grades the rows that it is fed, several at once, and delivers their outcomes in order.

    A row that does not wait, such as one whose judge's reply is cached, costs no task of its own. Use it
    in one event loop only.

    Args:
        grade: grades one row.
        size: rows that are graded at the same time.
        deliver: receives the outcomes.
    """

    def __init__(self, grade: GradeRow, size: int, deliver: Deliver) -> None:
        self._grade, self._size, self._deliver = grade, size, deliver
        self._waiting: deque[tuple[int, Any]] = deque()
        self._done: dict[int, RowOutcome | BaseException] = {}
        self._next = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._working = 0
        self._ended = False

    def feed(self, rows: Iterable[tuple[int, Any]]) -> None:
        """Add rows with their indexes: 0, 1, 2, ..."""
        self._waiting.extend(rows)
        for _ in range(min(self._size - self._working, len(self._waiting))):
            self._working += 1
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self) -> None:
        try:
            while self._waiting:
                index, row = self._waiting.popleft()
                try:
                    done = await self._outcome(index, row)
                except (
                    GeneratorExit
                ) as error:  # raised by the row, or this coroutine is being closed
                    with suppress(RuntimeError):  # the loop is closed, and nobody takes it
                        self._finish(index, error)
                    return
                self._finish(index, done)
        finally:
            # Counted here, not when the task is collected: rows fed in between would never be started.
            self._working -= 1

    async def _outcome(self, index: int, row: Any) -> RowOutcome | BaseException:
        try:
            return await self._grade(index, row)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # this task itself, not what it waited for
                if not self._ended:  # by the end of its event loop: the consumer must not hang
                    self._finish(index, error)
                raise
            return error
        except GeneratorExit:
            raise  # a coroutine that is being closed must not return
        except BaseException as error:  # noqa: BLE001 - delivered: the consumer of the outcomes raises it
            return error

    def _finish(self, index: int, done: RowOutcome | BaseException) -> None:
        """Deliver a row's outcome, and those of later rows that waited for it."""
        self._done[index] = done
        while self._next in self._done:
            self._deliver(self._done.pop(self._next))
            self._next += 1

    def cancel(self) -> None:
        """Cancel the rows that are not finished."""
        self._ended = True
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()

    async def end(self) -> None:
        """Cancel the rows that are not finished, and wait until they have ended."""
        tasks = list(self._tasks)
        self.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Drain:
    """Feeds a data set to a crew with a bounded number of rows in flight, and yields their outcomes.

    Args:
        rows: consumed as needed, in the thread that iterates over the outcomes.
        size: the crew's size.
        feed: passes rows to the crew.
    """

    def __init__(
        self, rows: Iterable[Any], size: int, feed: Callable[[list[tuple[int, Any]]], object]
    ) -> None:
        self._rows = enumerate(rows)
        self._window = size * ROWS_AHEAD
        self._chunk = min(CHUNK_ROWS, self._window)
        self._feed = feed
        self._exhausted = False
        self._in_flight = 0

    def outcomes(
        self, take: Callable[[], RowOutcome | BaseException | None]
    ) -> Iterator[RowOutcome | None]:
        """The outcomes in row order.

        Args:
            take: returns the next delivered outcome, or None if there is none yet.

        Yields:
            An outcome, or None if the caller must wait until the crew delivers one.
        """
        while self._refill() or self._in_flight:
            delivered = take()
            if delivered is None:
                yield None
                continue
            self._in_flight -= 1
            if isinstance(delivered, BaseException):
                raise delivered
            yield delivered

    def _refill(self) -> bool:
        """Feed as many rows as fit; returns whether there may be more."""
        while not self._exhausted and self._in_flight <= self._window - self._chunk:
            chunk = list(islice(self._rows, self._chunk))
            self._exhausted = len(chunk) < self._chunk
            self._in_flight += len(chunk)
            if chunk:
                self._feed(chunk)
        return not self._exhausted


async def drained(
    rows: Iterable[Any], size: int, crew_of: Callable[[Deliver], Crew]
) -> AsyncGenerator[RowOutcome, None]:
    """The outcomes of rows, which a crew of its own grades.

    Args:
        rows: consumed as needed.
        size: the crew's size.
        crew_of: makes the crew, given what it delivers to.
    """
    delivered: deque[RowOutcome | BaseException] = deque()
    arrived = asyncio.Event()

    def deliver(outcome: RowOutcome | BaseException) -> None:
        delivered.append(outcome)
        arrived.set()

    crew = crew_of(deliver)
    drain = Drain(rows, size, crew.feed)
    try:
        for outcome in drain.outcomes(lambda: delivered.popleft() if delivered else None):
            if outcome is None:
                await arrived.wait()
                arrived.clear()
            else:
                yield outcome
    finally:
        await crew.end()
