"""An SQLite file that several processes write to, used without waiting for its lock in the event loop."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

WAIT_S = 30.0
"""Seconds to wait for another process that is writing."""
CLOSE_WAIT_S = 5.0
"""As long at most while closing, for the rows that are not written yet."""
POLL_S = 0.02
"""Seconds between two attempts to get a lock."""


def connected(path: Path, timeout_s: float = 0.0) -> sqlite3.Connection:
    """A connection in autocommit mode, for any thread, that waits this long for a lock."""
    return sqlite3.connect(path, timeout=timeout_s, isolation_level=None, check_same_thread=False)


def when_free(function: Callable[[], T], deadline: Callable[[], float]) -> T:
    """Call a function, again and again while the file is locked and the deadline is not over."""
    while True:
        try:
            return function()
        except sqlite3.OperationalError as error:
            if not is_locked(error) or time.monotonic() > deadline():
                raise
        time.sleep(POLL_S)


def is_locked(error: Exception) -> bool:
    """Whether it says that another process holds the lock."""
    code = getattr(error, "sqlite_errorcode", 0)  # what the module raises by itself has none
    return isinstance(error, sqlite3.OperationalError) and code & 0xFF == sqlite3.SQLITE_BUSY


class Writer:
    """Writes rows in a thread of its own; rows that arrive meanwhile share the next transaction.

    Args:
        file: a connection for this writer alone, which it closes.
        statement: writes one row.
    """

    def __init__(self, file: sqlite3.Connection, statement: str) -> None:
        self.file = file
        self._statement = statement
        self._stop_at = math.inf
        self._queue: SimpleQueue[_Write | None] = SimpleQueue()
        self._thread: Thread | None = None

    def write(self, row: tuple[Any, ...]) -> asyncio.Future[None]:
        """Write a row. The future is done when the row is committed, and fails if it cannot be written."""
        loop = asyncio.get_running_loop()
        write = _Write(row, time.monotonic() + WAIT_S, loop, loop.create_future())
        self._queue.put(write)
        if self._thread is None:
            self._thread = Thread(target=self._work, name="graders-engine-cache", daemon=True)
            self._thread.start()
        return write.done

    def _work(self) -> None:
        with closing(self.file):
            self._write_all()

    def _write_all(self) -> None:
        while writes := self._next_writes():
            error = self._commit(writes)
            if error is None or isinstance(error, sqlite3.OperationalError) or len(writes) == 1:
                _tell(writes, error)  # a full disk or a lock stops each of them
                continue
            for write in writes:  # the value of one must not take the others with it
                _tell([write], self._commit([write]))

    def _commit(self, writes: list[_Write]) -> Exception | None:
        """Write rows in one transaction; what went wrong, where none of them is written."""
        try:
            self._insert_when_free(writes)
        except Exception as failure:  # noqa: BLE001 - the boundary: those that wait get the error, whatever it is
            return failure
        return None

    def _insert_when_free(self, writes: list[_Write]) -> None:
        rows = [write.row for write in writes]
        when_free(partial(self._insert, rows), lambda: min(writes[0].until, self._stop_at))

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
        with self.file:
            self.file.execute("BEGIN IMMEDIATE")
            self.file.executemany(self._statement, rows)

    def end(self) -> None:
        """Close the file when what is waiting is written, without waiting for that."""
        if self._thread is None:
            self.file.close()
        else:
            self._queue.put(None)

    def close(self) -> None:
        """Write what is waiting, and close the file; another process's lock is waited for `CLOSE_WAIT_S`."""
        self._stop_at = time.monotonic() + CLOSE_WAIT_S
        self.end()
        if self._thread is not None:
            self._thread.join()


class _Write(NamedTuple):
    row: tuple[Any, ...]
    until: float
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]


def _tell(writes: list[_Write], error: Exception | None) -> None:
    """End the futures of rows, each in its own loop."""
    for loop in {write.loop for write in writes}:
        done = [write.done for write in writes if write.loop is loop]
        with suppress(RuntimeError):  # the loop is closed: its rows have ended
            loop.call_soon_threadsafe(_finish, done, error)


def _finish(futures: list[asyncio.Future[None]], error: Exception | None) -> None:
    for future in futures:
        if future.done():  # its row was cancelled
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
