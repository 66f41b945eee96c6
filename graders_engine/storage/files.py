"""Files: a row each, and a content in a folder. The row is the file: a content without one does not count."""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from graders_engine.storage.blobs import PartFile, clean_up, our_errors
from graders_engine.storage.database import Database, bindable
from graders_engine.storage.errors import StoreError
from graders_engine.storage.ids import as_name, new_file_id
from graders_engine.storage.pages import Found, Listing, Page

_LIVING = "(expires_at IS NULL OR expires_at > ?)"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that was uploaded.

    Attributes:
        id: `file-…`.
        project: whose it is.
        purpose: what it is for, in the API's words.
        name: as it was sent; never a path of this machine.
        bytes: its length.
        sha256: of its content, in hexadecimal.
        created_at: seconds since 1970.
        expires_at: from then on it is gone; None for one that stays.
    """

    id: str
    project: str
    purpose: str
    name: str
    bytes: int
    sha256: str
    created_at: int
    expires_at: int | None


class Files:
    """The files of all projects.

    Args:
        database: where the rows are.
        folder: where the contents are; it is made if needed.

    Raises:
        StoreError: the folder cannot be made.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self._database, self._folder = database, folder
        with our_errors("The files"):
            folder.mkdir(mode=0o700, exist_ok=True)

    def new_part(self) -> PartFile:
        """The content of a new file, to be written and given to `add`, or discarded.

        Raises:
            StoreError: it cannot be made.
        """
        return PartFile(self._folder, new_file_id())

    def add(
        self,
        part: PartFile,
        *,
        project: str,
        purpose: str,
        name: str,
        expires_after_s: int | None = None,
    ) -> StoredFile:
        """Make a file of what was written; when this returns, it is on the disk.

        Raises:
            StoreError: the disk is full, or fails; nothing stays.
        """
        whole = None
        try:
            part.sync()
            with self._database.write() as file:
                whole = part.finish()  # inside: seen from another transaction, it has its row
                now = int(time.time())  # inside: rows that come later are not older
                expires_at = None if expires_after_s is None else now + expires_after_s
                stored = StoredFile(
                    part.id, project, purpose, name, part.bytes, part.sha256, now, expires_at
                )
                file.execute(
                    "INSERT INTO file (id, project, purpose, name, bytes, sha256, created_at, expires_at) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (part.id, project, purpose, name, part.bytes, part.sha256, now, expires_at),
                )
        except BaseException:
            part.discard()
            if whole is not None:
                # An interrupt may come when the row is there. What stays, the next server removes.
                with suppress(OSError, StoreError):
                    if not self._database.rows("SELECT 1 FROM file WHERE id = ?", part.id):
                        whole.unlink(missing_ok=True)
            raise
        return stored

    def get(self, project: str, id: str) -> StoredFile | None:  # noqa: A002 - the wire's word
        """A file; None if there is none in this project, or it has expired."""
        row = self._database.row(
            f"SELECT * FROM file WHERE id = ? AND project = ? AND {_LIVING}",  # noqa: S608 - a constant
            id, project, time.time(),
        )  # fmt: skip
        return None if row is None else _file(row)

    def page(self, project: str, page: Page, purpose: str | None = None) -> Found[StoredFile]:
        """A part of a project's files, in the order of their arrival.

        Raises:
            UnknownCursor: `after` names none of them.
        """
        only: list[tuple[str, list[object]]] = [(_LIVING, [time.time()])]
        if purpose is not None:
            only.append(("purpose = ?", [purpose]))
        with self._database.read() as file:
            found = Listing("file", {"project": project}, tuple(only)).select(file, page)
        return Found([_file(row) for row in found.data], found.has_more)

    def delete(self, project: str, id: str) -> bool:  # noqa: A002 - the wire's word
        """Delete a file, and its content; whether there was one."""
        sql = f"DELETE FROM file WHERE id = ? AND project = ? AND {_LIVING} RETURNING id"  # noqa: S608 - a constant
        return bool(self._delete(sql, id, project, time.time()))

    def path(self, id: str) -> Path:  # noqa: A002 - the wire's word
        """Where the content of a file is.

        Raises:
            ValueError: this cannot be the id of a file.
        """
        return self._folder / as_name(id)

    def total_bytes(self) -> int:
        """How many bytes all files of all projects have."""
        row = self._database.row("SELECT COALESCE(SUM(bytes), 0) FROM file")
        return 0 if row is None else int(row[0])

    def expire(self, now: float) -> int:
        """Delete the files whose time is over; how many."""
        return len(self._delete("DELETE FROM file WHERE expires_at <= ? RETURNING id", now))

    def clean_up(self) -> int:
        """Remove contents without a row, of uploads that a crash has cut off; for the server alone."""
        with our_errors("The files"), self._database.write() as file:
            known = {row["id"] for row in file.execute("SELECT id FROM file")}
            return clean_up(self._folder, known)

    def _delete(self, sql: str, *values: object) -> list[str]:
        def rows(file: sqlite3.Connection) -> list[str]:
            return [row["id"] for row in file.execute(sql, bindable(values)).fetchall()]

        return self._database.delete(rows, lambda ids: list(map(self._remove, ids)))

    def _remove(self, id: str) -> None:  # noqa: A002 - the wire's word
        with suppress(OSError):  # the next server removes what stays
            self.path(id).unlink(missing_ok=True)


def _file(row: sqlite3.Row) -> StoredFile:
    return StoredFile(
        row["id"], row["project"], row["purpose"], row["name"], row["bytes"], row["sha256"],
        row["created_at"], row["expires_at"],
    )  # fmt: skip
