"""Replies kept on disk, so that nothing is paid twice: one SQLite file, shared safely by several processes.

Nothing here waits in the event loop. Reads use a connection that never waits for a lock, and one thread does
everything that may wait: writes, and those reads that meet a lock.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

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

VERSION = 1
"""Of the file's tables, and of what a key stands for."""
MAPPED_BYTES = 1 << 30
"""Of the file that are read through a memory map."""
WAIT_S = 30.0
"""Seconds to wait for another process that is writing."""
POLL_S = 0.02
"""Seconds between two attempts to get a lock."""


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
        self._closed = Event()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Replies quote the rows: only the owner may read them.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise DataSetError(
                f"The cache cannot be opened: {path}: {error.strerror}. Name another file with --cache, "
                "or use --no-cache."
            ) from None
        self._reader = _connected(path, 0.0)
        self._writer = _connected(path, POLL_S)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="graders-engine-cache")
        self._ready = False
        try:
            self._prepare()
        except (sqlite3.Error, DataSetError) as error:
            # Where another process is writing just now, the thread prepares the file when it is free.
            if not _is_locked(error):
                self.close()
                raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> DataSetError:
        return DataSetError(f"The cache cannot be used: {self.path}: {error}.")

    def _prepare(self) -> None:
        _make_tables(self._reader)
        for file in (self._reader, self._writer):
            file.execute("PRAGMA synchronous = NORMAL")
            file.execute(f"PRAGMA mmap_size = {MAPPED_BYTES}")
        self._ready = True

    async def get(self, key: str) -> ModelReply | None:
        """The reply under a key, marked as kept; None without one.

        Raises:
            DataSetError: the file cannot be read.
        """
        reply = self._unwritten.get(key)
        if reply is None:
            try:
                row = await self._select(key)
                reply = None if row is None else decoded(row[0], ModelReply)
            except (sqlite3.Error, ValueError) as error:
                raise DataSetError(f"The cache {self.path} cannot be read: {error}.") from None
        return None if reply is None else msgspec.structs.replace(reply, kept=True)

    async def _select(self, key: str) -> Any:
        query = ("SELECT reply FROM replies WHERE key = ?", (key,))
        try:
            if self._ready:
                return self._reader.execute(*query).fetchone()
        except sqlite3.OperationalError as error:
            if not _is_locked(error):
                raise
        return await self._in_thread(lambda: self._writer.execute(*query).fetchone())

    async def put(self, key: str, reply: ModelReply) -> None:
        """Keep a reply; one that is there already stays.

        Raises:
            DataSetError: the file cannot be written.
        """
        reply = msgspec.structs.replace(reply, kept=False)
        row = (key, encoded(reply), reply.model, reply.usage.total_tokens, time.time())
        insert = "INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?, ?)"
        # Equal requests that arrive meanwhile find it here, or they would be paid again.
        self._unwritten[key] = reply
        try:
            await self._in_thread(lambda: self._writer.execute(insert, row))
        except sqlite3.Error as error:
            raise DataSetError(f"The cache {self.path} cannot be written: {error}.") from None
        finally:
            self._unwritten.pop(key, None)

    async def _in_thread(self, function: Callable[[], T]) -> T:
        """What a function gives that may wait for a lock; a caller that gives up does not stop it."""
        done = asyncio.wrap_future(self._submit(function))
        done.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(done)

    def _submit(self, function: Callable[[], T]) -> Future[T]:
        return self._thread.submit(self._when_free, function, time.monotonic() + WAIT_S)

    def _when_free(self, function: Callable[[], T], until: float) -> T:
        """Call it until the file is not locked, the time is over, or the store is closed."""
        while True:
            try:
                if not self._ready:
                    self._prepare()
                return function()
            except DataSetError as error:
                raise self._unusable(error) from None
            except sqlite3.OperationalError as error:
                if not _is_locked(error) or time.monotonic() > until or self._closed.is_set():
                    raise
                time.sleep(POLL_S)

    def info(self) -> CacheInfo:
        """What is in it; waits where another process writes."""
        replies, tokens, oldest = self._now(
            "SELECT COUNT(*), COALESCE(SUM(tokens), 0), MIN(kept_at) FROM replies"
        )[0]
        models = dict(
            self._now("SELECT model, COUNT(*) FROM replies GROUP BY model ORDER BY model")
        )
        return CacheInfo(self.path, replies, self.path.stat().st_size, tokens, models, oldest)

    def clear(self) -> int:
        """Delete every reply; gives their number. Waits where another process writes."""
        [(replies,)] = self._now("SELECT COUNT(*) FROM replies")
        self._now("DELETE FROM replies")
        self._now("VACUUM")
        return int(replies)

    def _now(self, statement: str) -> list[Any]:
        return self._submit(lambda: self._writer.execute(statement).fetchall()).result()

    def close(self) -> None:
        """Close the file; waits no longer for another process that is writing. Closing twice is allowed."""
        self._closed.set()
        self._thread.shutdown()
        self._reader.close()
        self._writer.close()


def _connected(path: Path, timeout_s: float) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=timeout_s, isolation_level=None, check_same_thread=False)


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
