"""An SQLite file that several processes write to, used without waiting for its lock in the event loop."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

WAIT_S = 30.0
"""Seconds to wait for another process that is writing."""
POLL_S = 0.02
"""Seconds between two attempts to get a lock."""


def connected(path: Path, timeout_s: float = 0.0) -> sqlite3.Connection:
    """A connection in autocommit mode, for any thread, that waits this long for a lock."""
    return sqlite3.connect(path, timeout=timeout_s, isolation_level=None, check_same_thread=False)


def when_free(function: Callable[[], T], closed: Event, until: float | None = None) -> T:
    """Call a function until the file is not locked, the time is over, or the store is closed."""
    until = time.monotonic() + WAIT_S if until is None else until
    while True:
        try:
            return function()
        except sqlite3.OperationalError as error:
            if not is_locked(error) or time.monotonic() > until or closed.wait(POLL_S):
                raise


def is_locked(error: Exception) -> bool:
    """Whether it says that another process holds the lock."""
    code = getattr(error, "sqlite_errorcode", 0)  # what the module raises by itself has none
    return isinstance(error, sqlite3.OperationalError) and code & 0xFF == sqlite3.SQLITE_BUSY


class Writer:
    """Writes rows in a thread of its own; rows that arrive meanwhile share the next transaction.

    Args:
        path: the file.
        statement: writes one row.
        closed: is set when nothing may wait for a lock any more.
    """

    def __init__(self, path: Path, statement: str, closed: Event) -> None:
        self._statement = statement
        self._closed = closed
        self._queue: SimpleQueue[_Write | None] = SimpleQueue()
        self._file = connected(path, POLL_S)
        self._thread = Thread(target=self._work, name="graders-engine-cache", daemon=True)
        self._thread.start()

    async def write(self, row: tuple[Any, ...]) -> None:
        """Write a row, and wait until it is committed; a cancelled caller does not stop it.

        Raises:
            sqlite3.Error: it cannot be written.
        """
        loop = asyncio.get_running_loop()
        write = _Write(row, time.monotonic() + WAIT_S, loop, loop.create_future())
        self._queue.put(write)
        await write.done

    def _work(self) -> None:
        self._file.execute("PRAGMA synchronous = NORMAL")
        while writes := self._next_writes():
            error: Exception | None = None
            try:
                rows = [write.row for write in writes]
                when_free(partial(self._insert, rows), self._closed, writes[0].until)
            except Exception as failure:  # noqa: BLE001 - the boundary: those that wait get the error, whatever it is
                error = failure
            for loop in {write.loop for write in writes}:
                done = [write.done for write in writes if write.loop is loop]
                with suppress(RuntimeError):  # the loop is closed: its rows have ended
                    loop.call_soon_threadsafe(_finish, done, error)

    def _next_writes(self) -> list[_Write]:
        """All that wait, at least one; none when the store is closed and everything is written."""
        writes: list[_Write] = []
        while not writes or not self._queue.empty():
            write = self._queue.get()
            if write is None:
                self._queue.put(None)  # the next call ends as well
                break
            writes.append(write)
        return writes

    def _insert(self, rows: list[tuple[Any, ...]]) -> None:
        with self._file:
            self._file.execute("BEGIN IMMEDIATE")
            self._file.executemany(self._statement, rows)

    def close(self) -> None:
        """Write what is waiting, if the file is free, and end the thread."""
        self._queue.put(None)
        self._thread.join()
        self._file.close()


class _Write(NamedTuple):
    row: tuple[Any, ...]
    until: float
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]


def _finish(futures: list[asyncio.Future[None]], error: Exception | None) -> None:
    for future in futures:
        if future.done():  # its row was cancelled
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
