"""An index next to the results: which lines of which data they came from, shard by shard."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from graders_engine.dataset.results.shard_index import SHARDS, WRONG_TYPES, CompletedShard
from graders_engine.errors import DataSetError
from graders_engine.files import sqlite_companions

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


class Index:
    """The completed shards of a run, in an SQLite file.

    It proves that a data set is still the one that the results came from, without a pass over all of the data
    before the first row. It may be lost or damaged: the results alone tell how far a run got, and a damaged
    index is replaced.

    Args:
        path: the file.
        overwrite: start with an empty index.

    Raises:
        DataSetError: it cannot be written.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self.path = path
        existed = path.exists()
        if overwrite:
            self._remove()
        try:
            try:
                self._open()
            except sqlite3.OperationalError:
                raise  # the disk is at fault, not the file
            except sqlite3.DatabaseError:
                self._remove()
                self._open()
        except (sqlite3.Error, OSError) as error:
            if not existed:  # nothing has begun, so nothing is left
                with suppress(OSError):
                    self._remove()
            raise DataSetError(f"The index cannot be written: {path}: {error}.") from None

    def _open(self) -> None:
        self._database = sqlite3.connect(self.path, isolation_level=None)
        try:
            # Only the run that holds the lock of the results gets here, so the index needs no shared memory,
            # which network file systems lack.
            self._database.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute("PRAGMA trusted_schema=OFF")
            self._require_own()
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute(_TABLE)
            (problem,) = self._database.execute("PRAGMA quick_check(1)").fetchone()
            if problem != "ok" or self._database.execute(WRONG_TYPES).fetchone():
                raise sqlite3.DatabaseError(problem)
        except BaseException:
            self._database.close()
            raise

    def _require_own(self) -> None:
        """Check that nothing but the table of an index is in the file: no view or trigger, no other table."""
        found = self._database.execute("SELECT type, name FROM sqlite_master").fetchmany(2)
        if found not in ([], [("table", "batch")]):
            raise DataSetError(
                f"The index cannot be written: {self.path} is the database of another program. "
                "Move it, or write the results to another file."
            )

    def _remove(self) -> None:
        for path in (self.path, *sqlite_companions(self.path)):
            path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the file, for a run of which nothing was written."""
        self._database.close()
        with suppress(OSError):
            self._remove()

    def shards(self) -> list[CompletedShard]:
        """The completed shards, in the order of the data set."""
        return [CompletedShard(*row) for row in self._database.execute(SHARDS)]

    def add(self, shard: CompletedShard) -> None:
        """Record that all results of a shard are written.

        Raises:
            DataSetError: the disk is full, or gone.
        """
        self._change("INSERT OR REPLACE INTO batch VALUES (?, ?, ?, ?, ?, ?)", shard)

    def forget(self, shard: CompletedShard) -> None:
        """Remove a shard, some of whose results are missing, and all that follow it.

        Raises:
            DataSetError: the disk is full, or gone.
        """
        self._change("DELETE FROM batch WHERE first_line >= ?", (shard.first_line,))

    def _change(self, statement: str, values: tuple[Any, ...]) -> None:
        try:
            self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise DataSetError(
                f"The index cannot be written: {self.path}: {error}. "
                "Results written so far are kept; run the same command again to resume."
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()
