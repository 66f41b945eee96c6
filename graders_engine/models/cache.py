"""Replies kept on disk, so that nothing is paid twice: one SQLite file, shared safely by several processes.

Nothing here waits in the event loop: reads use a connection that never waits for a lock, one thread does all
writing, and what meets another process's lock is repeated in a thread until the file is free.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, NamedTuple, TypeVar

import msgspec

from graders_engine.errors import DataSetError
from graders_engine.models.base import (
    ModelBackend,
    ModelReply,
    ModelRequest,
    decoded,
    encoded,
    fingerprint,
)
from graders_engine.models.policies import Policy

T = TypeVar("T")
Row = tuple[str, bytes, str, int, float]

VERSION = 1
"""Of the file's tables, and of what a key stands for."""
MAPPED_BYTES = 1 << 30
"""Of the file that are read through a memory map."""
WAIT_S = 30.0
"""Seconds to wait for another process that is writing."""
POLL_S = 0.02
"""Seconds between two attempts to get a lock."""
SELECT = "SELECT reply FROM replies WHERE key = ?"
INSERT = "INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?, ?)"
_LOCKED = object()
"""In place of a row: the file is locked."""


def default_path() -> Path:
    """Where replies are kept: GRADERS_CACHE, or graders-engine/replies.sqlite in the user's cache folder."""
    if given := os.environ.get("GRADERS_CACHE"):
        return Path(given)
    folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(folder) / "graders-engine" / "replies.sqlite"


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """What a cache holds.

    Attributes:
        path: the file.
        replies: their number.
        file_bytes: the size of the file.
        total_tokens: what the replies took when they were asked for.
        models: the number of replies by model.
        oldest: when the oldest was kept, in seconds since 1970; None for an empty cache.
    """

    path: Path
    replies: int
    file_bytes: int
    total_tokens: int
    models: dict[str, int]
    oldest: float | None


class ReplyStore:
    """The file. Each reply is committed before `put` returns, so a killed process loses none that it gave.

    Args:
        path: where it is; it is created if needed.

    Raises:
        DataSetError: it cannot be opened, or it is something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._unwritten: dict[str, ModelReply] = {}
        self._writer: _Writer | None = None
        self._closed = Event()
        self._preparing = asyncio.Lock()
        self._ready = False
        self._in_transaction = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Replies quote the rows: only the owner may read them.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise DataSetError(
                f"The cache cannot be opened: {path}: {error.strerror}. Name another file with --cache, "
                "or use --no-cache."
            ) from None
        self._reader = _connected(path)
        try:
            self._prepare()
        except (sqlite3.Error, DataSetError) as error:
            # If another process is writing just now, a thread prepares the file when it is free.
            if not _is_locked(error):
                self._reader.close()
                raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> DataSetError:
        return DataSetError(f"The cache cannot be used: {self.path}: {error}.")

    def _prepare(self) -> None:
        _make_tables(self._reader)
        self._reader.execute(f"PRAGMA mmap_size = {MAPPED_BYTES}")
        self._ready = True

    async def _prepare_when_free(self) -> None:
        async with self._preparing:
            if not self._ready:
                try:
                    await asyncio.to_thread(_when_free, self._prepare, self._closed)
                except (sqlite3.Error, DataSetError) as error:
                    raise self._unusable(error) from None

    async def get(self, key: str) -> ModelReply | None:
        """The reply under a key, marked as kept; None without one.

        Raises:
            DataSetError: the file cannot be read.
        """
        if not self._ready:
            await self._prepare_when_free()
        reply = self._unwritten.get(key)
        if reply is None:
            try:
                row = self._select(key)
                if row is _LOCKED:
                    row = await asyncio.to_thread(
                        _when_free, partial(self._select_by_itself, key), self._closed
                    )
                if row is None:
                    return None
                reply = decoded(row[0], ModelReply)
            except (sqlite3.Error, ValueError) as error:
                raise DataSetError(f"The cache {self.path} cannot be read: {error}.") from None
        return msgspec.structs.replace(reply, kept=True)

    def _select(self, key: str) -> Any:
        try:
            if not self._in_transaction:
                # Taking a lock costs more than reading a reply: the reads of one turn of the loop share it.
                self._reader.execute("BEGIN")
                self._in_transaction = True
                asyncio.get_running_loop().call_soon(self._end_transaction)
            return self._reader.execute(SELECT, (key,)).fetchone()
        except sqlite3.OperationalError as error:
            if _is_locked(error):
                return _LOCKED
            raise

    def _select_by_itself(self, key: str) -> Any:
        with closing(_connected(self.path)) as file:
            return file.execute(SELECT, (key,)).fetchone()

    def _end_transaction(self) -> None:
        if self._in_transaction:
            self._in_transaction = False
            self._reader.execute("COMMIT")

    async def put(self, key: str, reply: ModelReply) -> None:
        """Keep a reply; one that is there already stays.

        Raises:
            DataSetError: the file cannot be written.
        """
        if not self._ready:
            await self._prepare_when_free()
        if self._writer is None:
            self._writer = _Writer(self.path, self._closed)
        row = (key, encoded(reply), reply.model, reply.usage.total_tokens, time.time())
        # Equal requests that arrive meanwhile find it here, or they would be paid again.
        self._unwritten[key] = reply
        try:
            await self._writer.write(row)
        except sqlite3.Error as error:
            raise DataSetError(f"The cache {self.path} cannot be written: {error}.") from None
        finally:
            self._unwritten.pop(key, None)

    def info(self) -> CacheInfo:
        """What is in it; waits while another process writes."""
        with closing(_connected(self.path, WAIT_S)) as file:
            replies, tokens, oldest = file.execute(
                "SELECT COUNT(*), COALESCE(SUM(tokens), 0), MIN(kept_at) FROM replies"
            ).fetchone()
            models = dict(
                file.execute("SELECT model, COUNT(*) FROM replies GROUP BY model ORDER BY model")
            )
        return CacheInfo(self.path, replies, self.path.stat().st_size, tokens, models, oldest)

    def clear(self) -> int:
        """Delete every reply; gives their number. Waits while another process writes."""
        self._end_transaction()
        with closing(_connected(self.path, WAIT_S)) as file:
            deleted = file.execute("DELETE FROM replies").rowcount
            file.execute("VACUUM")
        return deleted

    def close(self) -> None:
        """Close the file, and stop waiting for another process that is writing. Closing twice is allowed."""
        self._closed.set()
        if self._writer is not None:
            self._writer.close()
        self._in_transaction = False
        self._reader.close()


class _Writer:
    """Writes rows in a thread of its own; rows that arrive meanwhile share the next transaction.

    Args:
        path: the file.
        closed: is set when nothing may wait for a lock any more.
    """

    def __init__(self, path: Path, closed: Event) -> None:
        self._closed = closed
        self._queue: SimpleQueue[_Write | None] = SimpleQueue()
        self._file = _connected(path, POLL_S)
        self._thread = Thread(target=self._work, name="graders-engine-cache", daemon=True)
        self._thread.start()

    async def write(self, row: Row) -> None:
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
        while (first := self._queue.get()) is not None:
            writes: list[_Write] = [first]
            while not self._queue.empty() and (write := self._queue.get()) is not None:
                writes.append(write)
            error = None
            try:
                rows = [write.row for write in writes]
                _when_free(partial(self._insert, rows), self._closed, first.until)
            except sqlite3.Error as failure:
                error = failure
            for loop in {write.loop for write in writes}:
                done = [write.done for write in writes if write.loop is loop]
                with suppress(RuntimeError):  # the loop is closed: its rows have ended
                    loop.call_soon_threadsafe(_finish, done, error)

    def _insert(self, rows: list[Row]) -> None:
        with self._file:
            self._file.execute("BEGIN IMMEDIATE")
            self._file.executemany(INSERT, rows)

    def close(self) -> None:
        """Write what is waiting, if the file is free, and end the thread."""
        self._queue.put(None)
        self._thread.join()
        self._file.close()


class _Write(NamedTuple):
    row: Row
    until: float
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]


def _finish(futures: list[asyncio.Future[None]], error: sqlite3.Error | None) -> None:
    for future in futures:
        if future.done():  # its row was cancelled
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


def _connected(path: Path, timeout_s: float = 0.0) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=timeout_s, isolation_level=None, check_same_thread=False)


def _when_free(function: Callable[[], T], closed: Event, until: float | None = None) -> T:
    """Call a function until the file is not locked, the time is over, or the store is closed."""
    until = time.monotonic() + WAIT_S if until is None else until
    while True:
        try:
            return function()
        except sqlite3.OperationalError as error:
            if not _is_locked(error) or time.monotonic() > until or closed.wait(POLL_S):
                raise


def _make_tables(file: sqlite3.Connection) -> None:
    others = "SELECT 1 FROM sqlite_master WHERE tbl_name != 'replies'"
    if file.execute(others).fetchone():
        raise DataSetError("it is the database of another program; name another file")
    version = file.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, VERSION):
        raise DataSetError("it is of another version of graders-engine; name another file")
    if version == 0:
        file.execute("PRAGMA journal_mode = WAL")
        file.execute(
            "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply BLOB NOT NULL, "
            "model TEXT NOT NULL, tokens INTEGER NOT NULL, kept_at REAL NOT NULL) WITHOUT ROWID"
        )
        file.execute(f"PRAGMA user_version = {VERSION}")


def _is_locked(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", 0)  # what the module raises by itself has none
    return isinstance(error, sqlite3.OperationalError) and code & 0xFF == sqlite3.SQLITE_BUSY


class Cached(Policy):
    """Asks once for the same: a key is the hash of the request, the endpoint and the repeat.

    Refusals and answers that were cut off are kept as well: asking again would be paid again for the same.
    Failures are never kept.

    Args:
        backend: what it wraps.
        store: where replies are kept.
    """

    def __init__(self, backend: ModelBackend, store: ReplyStore) -> None:
        super().__init__(backend)
        self._store = store

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The kept reply, or a fresh one, which is on disk before it is given.

        Raises:
            BackendFailure: there is neither.
            DataSetError: the file cannot be used.
        """
        key = fingerprint(request, self.backend.signature)
        reply = await self._store.get(key)
        if reply is None:
            reply = await self.backend.complete(request)
            await self._store.put(key, reply)
        return reply
