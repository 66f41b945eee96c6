"""What judges were asked in a run and answered: a file beside its results."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import msgspec

from graders_engine.errors import DataSetError
from graders_engine.models.base import (
    ModelReply,
    ModelRequest,
    decoded,
    encoded,
    fingerprint,
)
from graders_engine.outcome import Usage

_TABLE = (
    "CREATE TABLE IF NOT EXISTS judged (key TEXT PRIMARY KEY, model TEXT NOT NULL, reply BLOB NOT NULL) "
    "WITHOUT ROWID"
)


class JudgedFile:
    """The file, while a run is graded. Equal questions of a run are asked once, and are there once.

    Args:
        path: where it is; it is made if needed.

    Raises:
        DataSetError: it cannot be written.

    Attributes:
        used: by model, how often it was asked, and the tokens.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self.used: dict[str, tuple[int, Usage]] = {}
        try:
            self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = OFF")  # the replies' cache has them as well
            self._file.execute(_TABLE)
            for model, text in self._file.execute("SELECT model, reply FROM judged"):
                self._count(model, decoded(text, ModelReply).usage)
        except (sqlite3.Error, ValueError) as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: Exception) -> DataSetError:
        return DataSetError(f"The judges' replies cannot be written: {self._path}: {error}.")

    def _count(self, model: str, usage: Usage) -> None:
        count, so_far = self.used.get(model, (0, Usage()))
        self.used[model] = (count + 1, so_far + usage)

    def see(self, request: ModelRequest, reply: ModelReply | Exception) -> None:
        """Keep a reply; the observer of an engine.

        Raises:
            DataSetError: it cannot be written.
        """
        if isinstance(reply, Exception):
            return
        stored = msgspec.structs.replace(reply, kept=False)
        model = reply.model.encode("utf-8", "replace").decode()
        try:
            with self._lock:
                added = self._file.execute(
                    "INSERT OR IGNORE INTO judged VALUES (?, ?, ?)",
                    (fingerprint(request), model, encoded(stored)),
                ).rowcount
                if added:
                    self._count(model, reply.usage)
        except sqlite3.Error as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class JudgedReplies:
    """The replies of a run's judges, to be read; `close` it.

    Args:
        path: the file of a `JudgedFile`; without it nothing is known.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: sqlite3.Connection | None = None

    def of(self, request: ModelRequest) -> ModelReply | None:
        """What a judge answered; None where nothing is known of it."""
        if self._file is None:
            if not self._path.is_file():
                return None
            self._file = sqlite3.connect(self._path)
            self._file.execute("PRAGMA query_only = ON")
        row = self._file.execute(
            "SELECT reply FROM judged WHERE key = ?", (fingerprint(request),)
        ).fetchone()
        return None if row is None else decoded(row[0], ModelReply)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
