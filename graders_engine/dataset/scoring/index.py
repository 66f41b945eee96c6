"""Beside the results: which lines of which data they came from, batch by batch."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from graders_engine.dataset.scoring.shards import Shard
from graders_engine.errors import DataSetError

_TABLE = """
CREATE TABLE IF NOT EXISTS batch (
    first_line INTEGER PRIMARY KEY,
    last_line INTEGER NOT NULL,
    start_at INTEGER NOT NULL,
    end_at INTEGER NOT NULL,
    results INTEGER NOT NULL,
    digest TEXT NOT NULL
) STRICT
"""


class Batch(NamedTuple):
    """Lines of the data set whose results are all written.

    Attributes:
        first_line: number of the first line.
        last_line: number of the last line.
        start: position in the data set before them.
        end: position behind them.
        results: how many results they have.
        digest: `Shard.digest` of them.
    """

    first_line: int
    last_line: int
    start: int
    end: int
    results: int
    digest: str


def batch_of(shard: Shard, results: int, digest: str | None = None) -> Batch:
    """The batch that a shard with so many results is; its digest is taken here unless a worker has."""
    digest = digest or shard.digest()
    return Batch(shard.first_line, shard.last_line, shard.start, shard.end, results, digest)


class Index:
    """The batches that are done, in an SQLite file.

    It proves that a data set is still the one that the results came from, without a pass over the data
    before the first row. It can be lost: the results alone tell how far a run came. One that is damaged is
    begun anew.

    Args:
        path: where it is.
        overwrite: begin it anew.

    Raises:
        DataSetError: it cannot be written.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self.path = path
        if overwrite:
            self._remove()
        try:
            try:
                self._open()
            except sqlite3.OperationalError:
                raise  # the disk's fault, not the file's
            except sqlite3.DatabaseError:
                self._remove()
                self._open()
        except (sqlite3.Error, OSError) as error:
            raise DataSetError(f"The index cannot be written: {path}: {error}.") from None

    def _open(self) -> None:
        self._database = sqlite3.connect(self.path, isolation_level=None)
        try:
            # Only the run that holds the results' lock comes here; so no shared memory is needed, which
            # network file systems lack.
            self._database.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute(_TABLE)
            (verdict,) = self._database.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
        except BaseException:
            self._database.close()
            raise

    def _remove(self) -> None:
        for ending in ("", "-wal", "-shm", "-journal"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)

    def batches(self) -> list[Batch]:
        """What is done, in the data set's order."""
        found = self._database.execute(
            "SELECT first_line, last_line, start_at, end_at, results, digest FROM batch "
            "ORDER BY first_line"
        )
        return [Batch(*row) for row in found]

    def add(self, batch: Batch) -> None:
        """Tell that the results of these lines are written.

        Raises:
            DataSetError: the disk is full, or gone.
        """
        self._change("INSERT OR REPLACE INTO batch VALUES (?, ?, ?, ?, ?, ?)", batch)

    def forget(self, batch: Batch) -> None:
        """Tell that the results of these lines, and of all that follow, are not all there.

        Raises:
            DataSetError: the disk is full, or gone.
        """
        self._change("DELETE FROM batch WHERE first_line >= ?", (batch.first_line,))

    def _change(self, statement: str, values: tuple[Any, ...]) -> None:
        try:
            self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise DataSetError(
                f"The index cannot be written: {self.path}: {error}. "
                "What was written before stays; the same command goes on from there."
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._database.close()
