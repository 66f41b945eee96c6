"""Replies kept on disk, so that nothing is paid twice: one SQLite file, shared safely by several processes.

Nothing here waits in the event loop: reads use a connection that never waits for a lock, one thread does all
writing, and what meets another process's lock is repeated in a thread until the file is free.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import sqlite3
import time
import weakref
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from graders_engine.errors import DataSetError
from graders_engine.files import require_free, require_regular, sqlite_companions
from graders_engine.home import expanded, user_folder
from graders_engine.models.base import (
    ModelBackend,
    ModelReply,
    ModelRequest,
    decoded,
    encoded,
    fingerprint,
)
from graders_engine.models.dialects.dialect import KeptReplies
from graders_engine.models.policies import Coalesced, IsUsable, Policy
from graders_engine.models.sqlite_file import (
    POLL_S,
    WAIT_S,
    Writer,
    connected,
    is_locked,
    when_free,
)

_log = logging.getLogger("graders_engine")

VERSION = 1
"""Version of the file's tables and of what a key stands for."""
MAPPED_BYTES = 1 << 30
"""Bytes of the file that are read through a memory map."""
SELECT = "SELECT reply FROM replies WHERE key = ?"
INSERT = "INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?, ?)"
_ANOTHER = "Name another file with --cache, or use --no-cache."
_LOCKED = object()
"""In place of a row: the file is locked."""


def default_path() -> Path:
    """Where replies are kept: GRADERS_CACHE, or graders-engine/replies.sqlite in the user's cache folder.

    Without a home folder it is a path below `~`, which is refused when a judge is asked, and not before.
    """
    if given := os.environ.get("GRADERS_CACHE"):
        return Path(given)
    folder = user_folder("XDG_CACHE_HOME") or Path("~", ".cache")
    return folder / "graders-engine" / "replies.sqlite"


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
        path: where it is, `~` for the home folder included; it is created if needed.

    Raises:
        DataSetError: it cannot be opened, or it is something else.
    """

    def __init__(self, path: Path) -> None:
        try:
            self.path = path = expanded(path)
        except ValueError as error:
            raise DataSetError(f"The cache cannot be opened: {error}. {_ANOTHER}") from None
        self._unwritten: dict[str, ModelReply] = {}
        self._writer: Writer | None = None
        self._preparing = asyncio.Lock()
        self._closed = self._ready = self._in_transaction = False
        try:
            require_regular(path, "The cache cannot be opened")
            require_free(sqlite_companions(path), "The cache cannot be opened")
            path.parent.mkdir(parents=True, exist_ok=True)
            # Replies quote the rows: only the owner may read them.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise DataSetError(
                f"The cache cannot be opened: {path}: {error.strerror}. {_ANOTHER}"
            ) from None
        except DataSetError as error:
            raise DataSetError(f"{error} {_ANOTHER}") from None
        self._reader = connected(path)
        _end_with(self, self._reader.close)
        try:
            self._prepare()
        except (sqlite3.Error, DataSetError) as error:
            # If another process is writing just now, a thread prepares the file when it is free.
            if not is_locked(error):
                self.close()
                raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> DataSetError:
        return DataSetError(f"The cache cannot be used: {self.path}: {error}.")

    def _prepare(self) -> None:
        _make_tables(self._reader)
        self._reader.execute(f"PRAGMA mmap_size = {MAPPED_BYTES}")
        # Opened now: it writes to the file that was prepared, whatever happens to its name later.
        if self._writer is None:
            self._writer = Writer(connected(self.path, POLL_S), INSERT)
            _end_with(self, self._writer.end)
        self._writer.file.execute("PRAGMA synchronous = NORMAL")
        self._writer.file.execute(SELECT, ("",))
        self._ready = True

    def _read_deadline(self) -> Callable[[], float]:
        until = time.monotonic() + WAIT_S
        return lambda: -math.inf if self._closed else until

    async def _prepare_when_free(self) -> None:
        async with self._preparing:
            if not self._ready:
                try:
                    await asyncio.to_thread(when_free, self._prepare, self._read_deadline())
                except (sqlite3.Error, DataSetError) as error:
                    raise self._unusable(error) from None

    async def get(
        self, key: str, is_usable: Callable[[ModelReply], bool] = lambda reply: True
    ) -> ModelReply | None:
        """The reply under a key, marked as kept; None without one, or if an unchecked one is not usable.

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
                        when_free, partial(self._select_by_itself, key), self._read_deadline()
                    )
                if row is None:
                    return None
                reply = decoded(row[0], ModelReply)
            except (sqlite3.Error, ValueError) as error:
                raise DataSetError(f"The cache {self.path} cannot be read: {error}.") from None
        if not reply.checked and not is_usable(reply):
            return None
        return msgspec.structs.replace(reply, kept=True, checked=False)

    def _select(self, key: str) -> Any:
        try:
            if not self._in_transaction:
                # Taking a lock costs more than reading a reply: the reads of one turn of the loop share it.
                self._reader.execute("BEGIN")
                self._in_transaction = True
                asyncio.get_running_loop().call_soon(self._end_transaction)
            return self._reader.execute(SELECT, (key,)).fetchone()
        except sqlite3.OperationalError as error:
            if is_locked(error):
                return _LOCKED
            raise

    def _select_by_itself(self, key: str) -> Any:
        with closing(connected(self.path)) as file:
            return file.execute(SELECT, (key,)).fetchone()

    def _end_transaction(self) -> None:
        if self._in_transaction:
            self._in_transaction = False
            self._reader.execute("COMMIT")

    async def put(self, key: str, reply: ModelReply) -> None:
        """Keep a reply, in place of one that is there already.

        Raises:
            DataSetError: the file cannot be written.
        """
        if not self._ready:
            await self._prepare_when_free()
        if self._writer is None or self._closed:
            raise DataSetError(f"The cache {self.path} cannot be written: it is closed.")
        model = reply.model.encode("utf-8", "replace").decode()  # SQLite stores no lone surrogates
        stored = msgspec.structs.replace(reply, kept=False, checked=True)
        row = (key, encoded(stored), model, reply.usage.total_tokens, time.time())
        # Equal requests that arrive meanwhile find it here, or they would be paid again; also when this
        # caller is cancelled, for the row is written all the same.
        self._unwritten[key] = reply
        (commit := self._writer.write(row)).add_done_callback(lambda done: self._forget(key, done))
        try:
            await asyncio.shield(commit)
        except sqlite3.Error as error:
            raise DataSetError(f"The cache {self.path} cannot be written: {error}.") from None

    def _forget(self, key: str, done: asyncio.Future[None]) -> None:
        self._unwritten.pop(key, None)
        if not done.cancelled():
            done.exception()  # marks it as retrieved: a cancelled caller does not wait for it

    def info(self) -> CacheInfo:
        """What is in it; waits while another process writes."""
        with closing(connected(self.path, WAIT_S)) as file:
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
        with closing(connected(self.path, WAIT_S)) as file:
            deleted = file.execute("DELETE FROM replies").rowcount
            file.execute("VACUUM")
        return deleted

    async def close_aside(self) -> None:
        """As `close`, in a thread: the event loop does not wait for the file."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Write what waits to be written, and close the file; closing twice is allowed.

        If another process holds the file's lock, its end is waited for, but not for long.
        """
        if self._closed:
            return
        self._closed = True
        if self._writer is not None:
            self._writer.close()
        self._in_transaction = False
        self._reader.close()


def _end_with(store: ReplyStore, end: Callable[[], None]) -> None:
    """End what a store has open with the store, also where nobody closes that.

    Not when Python ends: a forked process would release the locks of its parent.
    """
    weakref.finalize(store, end).atexit = False


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


class Cached(Policy):
    """Asks once for the same: a key is the hash of the request, the endpoint and the repeat.

    Refusals are kept as well: asking again would be paid again for the same. Failures are never kept, nor
    answers that are empty, cut off or without a verdict: they come from a fault or a limit of the endpoint,
    which may be mended; such a one that is there is not used. Of a sampling, every answer is kept.

    Args:
        backend: what it wraps.
        store: where replies are kept.
        is_usable: whether a whole answer is worth keeping; None where each one is.
    """

    def __init__(
        self, backend: ModelBackend, store: ReplyStore, is_usable: IsUsable | None = None
    ) -> None:
        keeping = _Keeping(backend, store, is_usable)
        # A reply is kept before it stops being shared: an equal request finds it in one of the two places.
        super().__init__(Coalesced(keeping))
        self._store, self._is_worth_it = store, keeping.is_worth_it
        self._kept = KeptReplies()

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The kept reply, or a fresh one, which is on disk before it is given.

        Raises:
            BackendFailure: there is neither.
            DataSetError: the file cannot be used.
        """
        key = fingerprint(request, self.signature)
        reply = await self._store.get(key, lambda found: self._is_worth_it(found, request))
        reply = reply or await self.backend.complete(request)
        self._kept.see(request.model, reply.left_out, kept=reply.kept)
        return reply


class _Keeping(Policy):
    """Keeps each reply that is worth it."""

    def __init__(self, backend: ModelBackend, store: ReplyStore, usable: IsUsable | None) -> None:
        super().__init__(backend)
        self._store, self._is_usable = store, usable

    def is_worth_it(self, reply: ModelReply, request: ModelRequest) -> bool:
        if reply.answer:
            return True
        if reply.finish == "length" or not (reply.text.strip() or reply.refusal is not None):
            return False
        return self._is_usable is None or self._is_usable(reply, request)

    async def complete(self, request: ModelRequest) -> ModelReply:
        reply = await self.backend.complete(request)
        if self.is_worth_it(reply, request):
            await self._store.put(fingerprint(request, self.signature), reply)
        return reply
