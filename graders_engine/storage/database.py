"""The store's SQLite database: opening, migrating, one writer, and readers that do not wait for it."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from graders_engine.models.sqlite_file import WAIT_S, when_free
from graders_engine.storage.errors import StoreError, StoreFull, store_error
from graders_engine.storage.reserve import Reserve

T = TypeVar("T")

OLDEST_SQLITE = (3, 37, 0)
"""The first with strict tables; `RETURNING` is older."""
KEPT_S = 24 * 3600
"""How long what was deleted may still be the cursor of a list, in seconds."""

_DELETED = """
CREATE TRIGGER {table}_deleted AFTER DELETE ON {table} BEGIN
    INSERT OR REPLACE INTO deleted VALUES
    (old.id, '{table}', old.{owner}, old.seq, old.created_at, {updated}, strftime('%s', 'now') + 0);
END;
"""
_FIRST = (
    """
CREATE TABLE deleted (
    id TEXT NOT NULL, kind TEXT NOT NULL, owner TEXT NOT NULL, seq INTEGER NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, deleted_at INTEGER NOT NULL,
    PRIMARY KEY (id, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE file (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, project TEXT NOT NULL,
    purpose TEXT NOT NULL, name TEXT NOT NULL, bytes INTEGER NOT NULL, sha256 TEXT NOT NULL,
    created_at INTEGER NOT NULL, expires_at INTEGER
) STRICT;
CREATE INDEX file_of_project ON file (project, seq);
CREATE INDEX file_of_purpose ON file (project, purpose, seq);
CREATE INDEX file_expires ON file (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE eval (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, project TEXT NOT NULL,
    name TEXT NOT NULL, metadata TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX eval_created ON eval (project, created_at, seq);
CREATE INDEX eval_updated ON eval (project, updated_at, seq);

CREATE TABLE run (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, eval_id TEXT NOT NULL,
    project TEXT NOT NULL, name TEXT NOT NULL, model TEXT NOT NULL, status TEXT NOT NULL,
    metadata TEXT, created_at INTEGER NOT NULL, request TEXT NOT NULL, result TEXT NOT NULL,
    error TEXT, wanted TEXT NOT NULL, attempt INTEGER NOT NULL, heartbeat REAL
) STRICT;
CREATE INDEX run_of_eval ON run (eval_id, created_at, seq);
CREATE INDEX run_status ON run (status, seq);

CREATE TABLE item (
    seq INTEGER PRIMARY KEY, run_id TEXT NOT NULL, id TEXT NOT NULL, status TEXT NOT NULL,
    body TEXT NOT NULL, UNIQUE (run_id, id)
) STRICT;
CREATE INDEX item_of_run ON item (run_id, seq);
CREATE INDEX item_status ON item (run_id, status, seq);
"""
    + _DELETED.format(table="file", owner="project", updated="old.created_at")
    + _DELETED.format(table="eval", owner="project", updated="old.updated_at")
    + _DELETED.format(table="run", owner="eval_id", updated="old.created_at")
)
_JOBS = (
    """
CREATE TABLE job (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, project TEXT NOT NULL,
    status TEXT NOT NULL, wanted TEXT NOT NULL, attempt INTEGER NOT NULL, reached INTEGER NOT NULL,
    metadata TEXT, created_at INTEGER NOT NULL, finished_at INTEGER, request TEXT NOT NULL,
    spec TEXT NOT NULL, error TEXT, fine_tuned_model TEXT, trained_tokens INTEGER,
    estimated_finish INTEGER, result_files TEXT NOT NULL, heartbeat REAL
) STRICT;
CREATE INDEX job_of_project ON job (project, seq);
CREATE INDEX job_status ON job (status, seq);
CREATE INDEX job_wanted ON job (wanted, seq) WHERE wanted != '';

CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, job_id TEXT NOT NULL,
    level TEXT NOT NULL, type TEXT NOT NULL, message TEXT NOT NULL, data TEXT, step INTEGER,
    once TEXT, created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX event_of_job ON event (job_id, seq);
CREATE UNIQUE INDEX event_once ON event (job_id, once) WHERE once IS NOT NULL;
CREATE UNIQUE INDEX event_step ON event (job_id, step) WHERE type = 'metrics';

CREATE TABLE checkpoint (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, job_id TEXT NOT NULL,
    step INTEGER NOT NULL, name TEXT NOT NULL, folder TEXT NOT NULL, digest TEXT NOT NULL,
    metrics TEXT NOT NULL, resumable INTEGER NOT NULL, final INTEGER NOT NULL,
    created_at INTEGER NOT NULL, UNIQUE (job_id, step)
) STRICT;
CREATE INDEX checkpoint_of_job ON checkpoint (job_id, seq);
CREATE INDEX checkpoint_name ON checkpoint (name);
"""
    + _DELETED.format(table="job", owner="project", updated="old.created_at")
    + _DELETED.format(table="checkpoint", owner="job_id", updated="old.created_at")
)
_PERMISSIONS = (
    """
CREATE TABLE permission (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, job_id TEXT NOT NULL,
    checkpoint TEXT NOT NULL, project TEXT NOT NULL, created_at INTEGER NOT NULL,
    UNIQUE (job_id, checkpoint, project)
) STRICT;
CREATE INDEX permission_of_checkpoint ON permission (checkpoint, seq);
CREATE INDEX job_model ON job (fine_tuned_model) WHERE fine_tuned_model IS NOT NULL;

CREATE TRIGGER checkpoint_closed AFTER DELETE ON checkpoint BEGIN
    DELETE FROM permission WHERE job_id = old.job_id AND (
        checkpoint = old.name
        OR (old.final AND checkpoint = (SELECT fine_tuned_model FROM job WHERE id = old.job_id))
    );
END;
CREATE TRIGGER job_closed AFTER DELETE ON job BEGIN
    DELETE FROM permission WHERE job_id = old.id;
END;
"""  # noqa: S608 - nothing is put into it
    + _DELETED.format(table="permission", owner="checkpoint", updated="old.created_at")
)
MIGRATIONS = (_FIRST, _JOBS, _PERMISSIONS)
"""Each brings the tables from one version to the next; the first one makes them. Append, never edit."""


class Database:
    """The database. Threads may share it, and several processes may open the same file.

    Args:
        path: the file; it is made if needed, readable by its owner alone.

    Raises:
        StoreError: it cannot be opened, or a newer version of this package made it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writing, self._reading = Lock(), Lock()
        self._readers: list[sqlite3.Connection] = []
        self._closed = False
        self._reserve: Reserve | None = None
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            needed = ".".join(map(str, OLDEST_SQLITE))
            raise StoreError(
                f"A store needs SQLite {needed} or newer; this Python has {sqlite3.sqlite_version}."
            )
        with self._our_errors(f"{path} cannot be opened"):
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._writer = self._connected()
            try:
                # SQLite does not wait by itself where another process does this just now.
                deadline = time.monotonic() + WAIT_S
                when_free(
                    lambda: self._writer.execute("PRAGMA journal_mode = WAL"), lambda: deadline
                )
                self._writer.execute("PRAGMA synchronous = FULL")
                self._migrate()
            except BaseException:
                self._writer.close()
                raise

    def _connected(self) -> sqlite3.Connection:
        file = sqlite3.connect(
            self.path, timeout=WAIT_S, isolation_level=None, check_same_thread=False
        )
        file.row_factory = sqlite3.Row
        return file

    def _migrate(self) -> None:
        if self._version() == len(MIGRATIONS):
            return
        with self.write() as file:  # others that open it now wait here, and find it done
            version = self._version()
            if version > len(MIGRATIONS):
                raise StoreError(
                    f"The store {self.path} was made by a newer version of graders-engine: use that one, or "
                    "another folder."
                )
            for script in MIGRATIONS[version:]:
                for statement in statements(script):
                    file.execute(statement)
            file.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _version(self) -> int:
        version: int = self._writer.execute("PRAGMA user_version").fetchone()[0]
        return version

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that writes; it is on the disk when the block has ended, or nothing of it is.

        Raises:
            StoreError: the disk is full, or another process writes for too long.
        """
        with self._our_errors("cannot be written"), self._writing:
            self._require_open()
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def keep_reserve(self, path: Path) -> None:
        """Keep space for deleting on a full disk, in a file; for the one server of a store."""
        self._reserve = Reserve(path)
        self._reserve.make()

    def delete(self, work: Callable[[sqlite3.Connection], T], then: Callable[[T], object]) -> T:
        """Delete rows in a transaction, and then what they stand for. On a full disk, the reserve is used.

        Args:
            work: deletes rows; it may be called twice.
            then: is given what `work` returned, once that is on the disk.

        Raises:
            StoreError: it cannot be written.
        """
        try:
            with self.write() as file:
                done = work(file)
        except StoreFull:
            if self._reserve is None:
                raise
            self._reserve.give_up()
            try:
                with self.write() as file:
                    done = work(file)
            except BaseException:
                self._reserve.make()  # there may be room for it again: the next one needs it, too
                raise
        then(done)
        if self._reserve is not None:
            self._reserve.make()
        return done

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A view of the database at one moment.

        Raises:
            StoreError: it cannot be read.
        """
        with self._our_errors("cannot be read"):
            with self._reading:
                self._require_open()
                file = self._readers.pop() if self._readers else None
            file = file or self._connected()
            try:
                file.execute("BEGIN")
                yield file
            finally:
                if file.in_transaction:
                    file.execute("COMMIT")
                with self._reading:
                    if not self._closed:
                        self._readers.append(file)
                if self._closed:
                    file.close()

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        """The first row of a query; None without one."""
        with self.read() as file:
            found: sqlite3.Row | None = file.execute(sql, bindable(values)).fetchone()
            return found

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """All rows of a query."""
        with self.read() as file:
            return file.execute(sql, bindable(values)).fetchall()

    def change(self, sql: str, *values: Any) -> int:
        """Run one statement that writes; how many rows it changed."""
        with self.write() as file:
            return file.execute(sql, bindable(values)).rowcount

    def forget_deleted(self, now: float) -> None:
        """Forget what was deleted more than `KEPT_S` ago: it is no cursor of a list any more."""
        sql = "DELETE FROM deleted WHERE deleted_at < ?"
        self.delete(lambda file: file.execute(sql, (now - KEPT_S,)), lambda _: None)

    def _require_open(self) -> None:
        if self._closed:
            raise StoreError("The store is closed.")

    @contextmanager
    def _our_errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise store_error(f"The store {what}", error, self.path) from error

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        with self._writing, self._reading:
            self._closed = True
            self._writer.close()
            for file in self._readers:
                file.close()
            self._readers.clear()


def bindable(values: Iterable[Any]) -> list[Any]:
    """Values as SQLite takes them: it stores no lone surrogates, so each becomes a question mark."""
    return [
        value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for value in values
    ]


def statements(script: str) -> Iterator[str]:
    """The statements of a script; `executescript` would end the transaction that they belong to."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
