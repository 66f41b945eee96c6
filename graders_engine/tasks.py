"""Tasks that end only those who wait for them, and that end when nobody waits.

asyncio ends the whole event loop when a task raises SystemExit or KeyboardInterrupt. Judges, rows and
callbacks are other people's code and may raise either; it must reach their own call, and no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class _Carried(Exception):
    """Carries an exception that a task must not raise itself."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        super().__init__()


async def _carry(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        return await coroutine
    except (SystemExit, KeyboardInterrupt) as error:
        raise _Carried(error) from None


class SharedTask(Generic[T]):
    """Work that several callers can wait for; when the last of them is cancelled, so is the work.

    Args:
        coroutine: the work; it begins in the running event loop.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._task = asyncio.create_task(_carry(coroutine))
        self._task.add_done_callback(self._on_end)
        self._waiting = 0

    @property
    def is_open(self) -> bool:
        """Whether it is still working, so that one more caller can wait for it."""
        return not (self._task.done() or self._task.cancelling())

    @property
    def ended(self) -> asyncio.Future[T]:
        """Done when the work has ended; only to be watched: `wait` gives what it returns or raises."""
        return self._task

    async def wait(self) -> T:
        """What the work returns or raises."""
        self._waiting += 1
        try:
            return await asyncio.shield(self._task)
        except _Carried as carried:
            raise carried.error from None
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._task.cancel()

    def _on_end(self, task: asyncio.Task[T]) -> None:
        self._coroutine.close()  # one that is cancelled before its first step was never awaited
        read_exception(task)

    async def end(self) -> None:
        """Cancel the work, and wait until it has ended."""
        self._task.cancel()
        await asyncio.wait([self._task])


def read_exception(task: asyncio.Task[Any]) -> None:
    """Read the exception of a task that has ended: unread, asyncio logs it, though nobody waits for it."""
    if not task.cancelled():
        task.exception()


async def together(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of coroutines that run at the same time; the first exception cancels the others."""
    works = list(coroutines)
    tasks = [asyncio.create_task(_carry(work)) for work in works]
    try:
        return list(await asyncio.gather(*tasks))
    except _Carried as carried:
        raise carried.error from None
    finally:
        for task, work in zip(tasks, works, strict=True):
            if task.done():
                work.close()  # one that is cancelled before its first step was never awaited
            else:
                task.cancel()
                task.add_done_callback(lambda _, work=work: work.close())  # type: ignore[misc] # mypy cannot infer a default
