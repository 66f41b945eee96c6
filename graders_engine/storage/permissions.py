"""Permissions: a checkpoint that another project may use."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from graders_engine.storage.database import Database, bindable
from graders_engine.storage.ids import new_permission_id
from graders_engine.storage.pages import Found, Listing, Page

_JOB = (
    "SELECT job_id FROM checkpoint WHERE name = :name UNION ALL SELECT job.id FROM job "
    "JOIN checkpoint ON checkpoint.job_id = job.id AND checkpoint.final WHERE job.fine_tuned_model = :name"
)


@dataclass(frozen=True, slots=True)
class Permission:
    """That a project may use a checkpoint.

    Attributes:
        id: `cp_…`.
        checkpoint: the name of the checkpoint, or of the model.
        project: that may use it.
        created_at: seconds since 1970.
    """

    id: str
    checkpoint: str
    project: str
    created_at: int


class Permissions:
    """The permissions of all checkpoints. One ends with its checkpoint or job.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, checkpoint: str, projects: Sequence[str]) -> list[Permission]:
        """Let projects use a checkpoint; when this returns, it is on the disk.

        Args:
            checkpoint: its name, or that of a model.
            projects: their names.

        Returns:
            A permission of each project, in the order of the names; one that was there before stays as it is.
            Empty if there is no such checkpoint any more.
        """
        found: list[Permission] = []
        with self._database.write() as file:
            job = file.execute(_JOB, {"name": bindable((checkpoint,))[0]}).fetchone()
            for project in dict.fromkeys(projects) if job is not None else ():
                file.execute(
                    "INSERT INTO permission (id, job_id, checkpoint, project, created_at) "
                    "VALUES (?, ?, ?, ?, ?) ON CONFLICT (job_id, checkpoint, project) DO NOTHING",
                    bindable((new_permission_id(), job[0], checkpoint, project, int(time.time()))),
                )
                row = file.execute(
                    "SELECT * FROM permission WHERE job_id = ? AND checkpoint = ? AND project = ?",
                    bindable((job[0], checkpoint, project)),
                ).fetchone()
                found.append(_permission(row))
        return found

    def page(self, checkpoint: str, page: Page, project: str | None = None) -> Found[Permission]:
        """A part of a checkpoint's permissions, in the order of their arrival.

        Args:
            checkpoint: its name, or that of a model.
            page: which part.
            project: only those of this project; None for all.

        Raises:
            UnknownCursor: `after` names none of them.
        """
        only = () if project is None else (("project = ?", bindable((project,))),)
        listing = Listing("permission", {"checkpoint": bindable((checkpoint,))[0]}, only)
        with self._database.read() as file:
            found = listing.select(file, page)
        return Found([_permission(row) for row in found.data], found.has_more)

    def delete(self, checkpoint: str, permission_id: str) -> bool:
        """End a permission; whether the checkpoint had it."""

        def rows(file: sqlite3.Connection) -> int:
            return file.execute(
                "DELETE FROM permission WHERE checkpoint = ? AND id = ?",
                bindable((checkpoint, permission_id)),
            ).rowcount

        return self._database.delete(rows, lambda _: None) > 0


def _permission(row: sqlite3.Row) -> Permission:
    return Permission(row["id"], row["checkpoint"], row["project"], row["created_at"])
