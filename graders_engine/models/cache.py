"""Replies kept on disk, so that nothing is paid twice: one SQLite file, safe with several processes."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

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

VERSION = 1
"""Of the file's tables, and of what a key stands for."""
MAPPED_BYTES = 1 << 30
"""Of the file, read as memory and not by calls."""
GLANCE_S = 0.02
"""How long a look at the file may serve: what others write in between is seen after it."""
WAIT_S = 30.0
"""Seconds to wait for another process that is writing."""


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
        oldest: when the oldest was kept, in seconds since 1970; None when there is none.
    """

    path: Path
    replies: int
    file_bytes: int
    total_tokens: int
    models: dict[str, int]
    oldest: float | None


class ReplyStore:
    """The file. Each reply is committed by itself, so a killed process loses none that it was given.

    Args:
        path: where it is; made when there is none.

    Raises:
        DataSetError: it cannot be opened, or it is something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._looking = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Replies quote the rows: nobody else reads them.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise DataSetError(
                f"The cache cannot be opened: {path}: {error.strerror}. Name another with --cache, "
                "or go without by --no-cache."
            ) from None
        self._file = sqlite3.connect(
            path, timeout=WAIT_S, isolation_level=None, check_same_thread=False
        )
        try:
            self._make_tables()
        except (sqlite3.Error, DataSetError) as error:
            self._file.close()
            raise DataSetError(f"The cache cannot be used: {path}: {error}.") from None
        self._file.execute("PRAGMA synchronous = NORMAL")
        self._file.execute(f"PRAGMA mmap_size = {MAPPED_BYTES}")

    def _make_tables(self) -> None:
        others = "SELECT 1 FROM sqlite_master WHERE tbl_name != 'replies'"
        if self._file.execute(others).fetchone():
            raise DataSetError("it is the database of another program; name another file")
        version = self._file.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, VERSION):
            raise DataSetError("it is of another version of graders-engine; name another file")
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute(
            "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply BLOB NOT NULL, "
            "model TEXT NOT NULL, tokens INTEGER NOT NULL, kept_at REAL NOT NULL) WITHOUT ROWID"
        )
        self._file.execute(f"PRAGMA user_version = {VERSION}")

    def get(self, key: str) -> ModelReply | None:
        """The reply under a key; None when there is none.

        Raises:
            DataSetError: the file cannot be read.
        """
        try:
            self._look()
            found = self._file.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
            return None if found is None else decoded(found[0], ModelReply)
        except (sqlite3.Error, ValueError) as error:
            raise DataSetError(f"The cache {self.path} cannot be read: {error}.") from None

    def _look(self) -> None:
        """Read many replies under one lock: taking it costs more than reading one."""
        if self._looking:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # nothing would end the look: each reading takes a lock of its own
            return
        self._file.execute("BEGIN")
        self._looking = True
        loop.call_later(GLANCE_S, self._look_away)

    def _look_away(self) -> None:
        if self._looking:
            self._looking = False
            self._file.execute("COMMIT")

    def put(self, key: str, reply: ModelReply) -> None:
        """Keep a reply; one that is there already stays.

        Raises:
            DataSetError: the file cannot be written.
        """
        row = (key, encoded(reply), reply.model, reply.usage.total_tokens, time.time())
        try:
            self._look_away()
            self._file.execute("INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?, ?)", row)
        except sqlite3.Error as error:
            raise DataSetError(f"The cache {self.path} cannot be written: {error}.") from None

    def info(self) -> CacheInfo:
        """What is in it."""
        self._look_away()
        replies, tokens, oldest = self._file.execute(
            "SELECT COUNT(*), COALESCE(SUM(tokens), 0), MIN(kept_at) FROM replies"
        ).fetchone()
        models = dict(
            self._file.execute("SELECT model, COUNT(*) FROM replies GROUP BY model ORDER BY model")
        )
        return CacheInfo(self.path, replies, self.path.stat().st_size, tokens, models, oldest)

    def clear(self) -> int:
        """Delete every reply, and say how many there were."""
        self._look_away()
        deleted = self._file.execute("DELETE FROM replies").rowcount
        self._file.execute("VACUUM")
        return deleted

    def close(self) -> None:
        """Close the file."""
        self._look_away()
        self._file.close()


class Cached(Policy):
    """Asks once for the same: a key is the hash of the request, the endpoint and the repeat.

    A refusal is kept as well, and so is an answer that was cut off: the same request would be paid again
    for the same end. What is no answer is never kept.

    Args:
        backend: what it wraps.
        store: where replies are kept.
    """

    def __init__(self, backend: ModelBackend, store: ReplyStore) -> None:
        super().__init__(backend)
        self._store = store

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The kept reply, or a fresh one, which is kept before it is given.

        Raises:
            BackendFailure: there is neither.
            DataSetError: the file cannot be used.
        """
        key = fingerprint(request, self.backend.signature)
        reply = self._store.get(key)
        if reply is None:
            reply = await self.backend.complete(request)
            self._store.put(key, reply)
        return reply
