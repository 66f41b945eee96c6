"""The events and the checkpoints of fine-tuning jobs."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from graders_engine.storage.database import Database, bindable
from graders_engine.storage.evals import as_json, from_json
from graders_engine.storage.ids import new_checkpoint_id, new_event_id
from graders_engine.storage.pages import Found, Listing, Page

Level = Literal["info", "warn", "error"]
Type = Literal["message", "metrics"]


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Something that has happened to a job.

    Attributes:
        level: how grave it is.
        message: a sentence.
        data: more of it, for programs.
        type: whether it has the metrics of a step.
        step: of metrics; a step has one such event.
        once: a name of what a job can have one event of; None for others.
    """

    level: Level
    message: str
    data: Mapping[str, Any] | None = None
    type: Type = "message"
    step: int | None = None
    once: str | None = None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event of a job.

    Attributes:
        id: `ftevent-…`.
        job_id: whose it is.
        level: info, warn or error.
        type: message or metrics.
        message: a sentence.
        data: more of it; None without any.
        step: of metrics; else None.
        created_at: seconds since 1970.
    """

    id: str
    job_id: str
    level: Level
    type: Type
    message: str
    data: Mapping[str, Any] | None
    step: int | None
    created_at: int


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """The weights of a job after one of its steps.

    Attributes:
        job_id: whose they are.
        step: the last one that is in them.
        name: of the model that they are.
        folder: its name in the job's folder.
        digest: of the model's files, in hexadecimal.
        metrics: by the names that are on the wire.
        resumable: whether what a resume needs is there, too.
        final: whether it is that of the job's last step.
        id: `ftckpt_…`.
        created_at: seconds since 1970.
    """

    job_id: str
    step: int
    name: str
    folder: str
    digest: str
    metrics: Mapping[str, float]
    resumable: bool = True
    final: bool = False
    id: str = field(default_factory=new_checkpoint_id)
    created_at: int = field(default_factory=lambda: int(time.time()))


class JobRecords:
    """What comes with the work on jobs.

    Args:
        database: where it is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_event(
        self,
        job_id: str,
        level: Level,
        message: str,
        data: Mapping[str, Any] | None = None,
        type: Type = "message",  # noqa: A002 - the wire's word
        step: int | None = None,
        *,
        once: str | None = None,
        while_in: Collection[str] | None = None,
    ) -> bool:
        """Add an event to a job; whether it is a new one.

        Args:
            job_id: of the job.
            level: as of `NewEvent`, like all that follow but for the last.
            message: a sentence.
            data: more of it.
            type: message or metrics.
            step: of metrics.
            once: what the job can have one event of.
            while_in: the statuses that the job may have; None for any.
        """
        event = NewEvent(level, message, data, type, step, once)
        with self._database.write() as file:
            return _is_in(file, job_id, while_in) and insert_event(file, job_id, event)

    def events(self, job_id: str, page: Page) -> Found[StoredEvent]:
        """A part of a job's events, in the order of their arrival.

        Raises:
            UnknownCursor: `after` names none of them.
        """
        with self._database.read() as file:
            found = Listing("event", {"job_id": job_id}).select(file, page)
        return Found([_event(row) for row in found.data], found.has_more)

    def last_step(self, job_id: str) -> int:
        """The last step of a job that has its event; 0 without any."""
        row = self._database.row(
            "SELECT COALESCE(MAX(step), 0) FROM event WHERE job_id = ? AND type = 'metrics'", job_id
        )
        return 0 if row is None else int(row[0])

    def add_checkpoint(
        self,
        new: StoredCheckpoint,
        *,
        events: Sequence[NewEvent] = (),
        while_in: Collection[str] | None = None,
    ) -> bool:
        """Keep a checkpoint; False if the job has one of this step, or no status of these.

        Args:
            new: the checkpoint.
            events: added with it, or not at all.
            while_in: the statuses that its job may have; None for any.
        """
        values = (
            new.id, new.job_id, new.step, new.name, new.folder, new.digest, as_json(new.metrics),
            int(new.resumable), int(new.final), new.created_at,
        )  # fmt: skip
        with self._database.write() as file:
            added = _is_in(file, new.job_id, while_in) and (
                file.execute(
                    "INSERT INTO checkpoint (id, job_id, step, name, folder, digest, metrics, resumable, "
                    "final, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT (job_id, step) DO NOTHING",
                    bindable(values),
                ).rowcount
                > 0
            )
            for event in events if added else ():
                insert_event(file, new.job_id, event)
        return added

    def checkpoints(self, job_id: str, page: Page) -> Found[StoredCheckpoint]:
        """A part of a job's checkpoints, in the order of their steps.

        Raises:
            UnknownCursor: `after` names none of them.
        """
        with self._database.read() as file:
            found = Listing("checkpoint", {"job_id": job_id}).select(file, page)
        return Found([_checkpoint(row) for row in found.data], found.has_more)

    def all_checkpoints(self, job_id: str) -> list[StoredCheckpoint]:
        """All checkpoints of a job, in the order of their steps."""
        rows = self._database.rows(
            "SELECT * FROM checkpoint WHERE job_id = ? ORDER BY step", job_id
        )
        return [_checkpoint(row) for row in rows]

    def end_resumable(self, checkpoint_id: str) -> None:
        """Say that what a resume needs is no longer kept in a checkpoint."""
        self._database.change("UPDATE checkpoint SET resumable = 0 WHERE id = ?", checkpoint_id)

    def make_final(self, checkpoint_id: str) -> None:
        """Say that a checkpoint is that of the job's last step."""
        self._database.change("UPDATE checkpoint SET final = 1 WHERE id = ?", checkpoint_id)

    def remove_checkpoint(self, checkpoint_id: str) -> bool:
        """Remove a checkpoint, but not its folder; whether there was one."""
        return self._database.change("DELETE FROM checkpoint WHERE id = ?", checkpoint_id) > 0


def insert_event(file: sqlite3.Connection, job_id: str, event: NewEvent) -> bool:
    """Add an event in a transaction; whether it is a new one."""
    values = (
        new_event_id(), job_id, event.level, event.type, event.message, as_json(event.data), event.step,
        event.once, int(time.time()),
    )  # fmt: skip
    return (
        file.execute(
            "INSERT INTO event (id, job_id, level, type, message, data, step, once, created_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            bindable(values),
        ).rowcount
        > 0
    )


def _is_in(file: sqlite3.Connection, job_id: str, statuses: Collection[str] | None) -> bool:
    row = file.execute("SELECT status FROM job WHERE id = ?", bindable((job_id,))).fetchone()
    return row is not None and (statuses is None or row[0] in statuses)


def _event(row: sqlite3.Row) -> StoredEvent:
    return StoredEvent(
        row["id"], row["job_id"], row["level"], row["type"], row["message"],
        from_json(row["data"]), row["step"], row["created_at"],
    )  # fmt: skip


def _checkpoint(row: sqlite3.Row) -> StoredCheckpoint:
    return StoredCheckpoint(
        row["job_id"], row["step"], row["name"], row["folder"], row["digest"],
        from_json(row["metrics"]), bool(row["resumable"]), bool(row["final"]), row["id"],
        row["created_at"],
    )  # fmt: skip
