"""Fine-tuning jobs."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from graders_engine.storage.database import Database, bindable
from graders_engine.storage.evals import as_json, assignments, columns_of, from_json
from graders_engine.storage.job_records import JobRecords, NewEvent, insert_event
from graders_engine.storage.listed_jobs import ListedJob, listed_jobs
from graders_engine.storage.pages import Found, Listing, Page
from graders_engine.storage.watched_jobs import Watched, watched

CHANGEABLE = (
    "wanted", "attempt", "reached", "finished_at", "spec", "error", "fine_tuned_model", "trained_tokens",
    "estimated_finish", "result_files", "heartbeat",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJob:
    """A fine-tuning job.

    Attributes:
        id: `ftjob-…`.
        project: whose it is.
        status: validating_files, queued, running, pausing, paused, succeeded, failed or cancelled.
        created_at: seconds since 1970.
        request: the body as it was sent.
        spec: what its trainer is given, everything resolved; `{}` before that.
        metadata: keys and texts; None without any.
        wanted: what its worker still has to obey: `paused`, `cancelled`, or empty.
        attempt: how many workers were started since the last new step.
        reached: the last step that had its event when the last worker was started.
        finished_at: seconds since 1970; None before its end.
        error: code, message and param; None without one.
        fine_tuned_model: the name of what was trained; None before that.
        trained_tokens: so far; None before the first step.
        estimated_finish: seconds since 1970; None if it does not run.
        result_files: ids of files.
        heartbeat: when its worker last said that it works, in seconds since 1970; None before that.
    """

    id: str
    project: str
    status: str
    created_at: int
    request: Mapping[str, Any]
    spec: Mapping[str, Any]
    metadata: Mapping[str, str] | None = None
    wanted: Literal["", "paused", "cancelled"] = ""
    attempt: int = 0
    reached: int = 0
    finished_at: int | None = None
    error: Mapping[str, Any] | None = None
    fine_tuned_model: str | None = None
    trained_tokens: int | None = None
    estimated_finish: int | None = None
    result_files: Sequence[str] = ()
    heartbeat: float | None = None


class JobState(NamedTuple):
    """What of a job is asked for often."""

    id: str
    status: str
    wanted: str
    attempt: int
    reached: int


_INSERT = (
    "INSERT INTO job (id, project, status, wanted, attempt, reached, metadata, created_at, finished_at, "
    "request, spec, error, fine_tuned_model, trained_tokens, estimated_finish, result_files, heartbeat) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
)
_STATE = "SELECT id, status, wanted, attempt, reached FROM job"


class Jobs(JobRecords):
    """The jobs of all projects, with their events and checkpoints.

    Args:
        database: where they are.
        remove: called with the ids of jobs that were deleted.
    """

    def __init__(self, database: Database, remove: Callable[[Sequence[str]], object] = len) -> None:
        super().__init__(database)
        self._remove = remove

    def add(self, new: StoredJob, events: Sequence[NewEvent] = ()) -> bool:
        """Keep a job with its first events; when this returns, they are on the disk.

        Returns:
            False if there is a job of this id.

        Raises:
            StoreError: the disk is full.
        """
        values = (
            new.id, new.project, new.status, new.wanted, new.attempt, new.reached, as_json(new.metadata),
            new.created_at, new.finished_at, as_json(new.request), as_json(new.spec), as_json(new.error),
            new.fine_tuned_model, new.trained_tokens, new.estimated_finish,
            as_json(list(new.result_files)), new.heartbeat,
        )  # fmt: skip
        with self._database.write() as file:
            added = file.execute(_INSERT, bindable(values)).rowcount
            for event in events if added else ():
                insert_event(file, new.id, event)
        return added > 0

    def get(self, project: str, job_id: str) -> StoredJob | None:
        """A job; None if there is none in this project."""
        row = self._database.row("SELECT * FROM job WHERE id = ? AND project = ?", job_id, project)
        return None if row is None else _job(row)

    def find(self, job_id: str) -> StoredJob | None:
        """A job of any project, for its worker and what looks after it."""
        row = self._database.row("SELECT * FROM job WHERE id = ?", job_id)
        return None if row is None else _job(row)

    def page(
        self,
        project: str,
        page: Page,
        metadata: Mapping[str, str] | None = None,
        *,
        without_metadata: bool = False,
    ) -> Found[StoredJob]:
        """A part of a project's jobs, in the order of their arrival.

        Args:
            project: whose they are.
            page: which part.
            metadata: only jobs that have each of these keys with its value.
            without_metadata: only jobs that have no key at all.

        Raises:
            UnknownCursor: `after` names none of them.
        """
        only: list[tuple[str, Sequence[str]]] = [
            (
                "EXISTS (SELECT 1 FROM json_each(job.metadata) WHERE json_each.key = ? AND value = ?)",
                bindable(pair),
            )
            for pair in (metadata or {}).items()
        ]
        if without_metadata:
            only.append(("(metadata IS NULL OR metadata = '{}')", ()))
        with self._database.read() as file:
            found = Listing("job", {"project": project}, tuple(only)).select(file, page)
        return Found([_job(row) for row in found.data], found.has_more)

    def newest(self, project: str, limit: int) -> list[ListedJob]:
        """The newest jobs of a project, at most so many."""
        with self._database.read() as file:
            return list(listed_jobs(file, limit, project))

    def watch(
        self, project: str, job_id: str, seq: int, each: Callable[[int, str | bytes], object]
    ) -> Watched | None:
        """A job for its page; None if there is none in this project.

        Args:
            project: whose it is.
            job_id: of the job.
            seq: of the last event that is known; 0 for none.
            each: called with the number and the data of each step after that, in their order.
        """
        with self._database.read() as file:
            return watched(file, job_id, seq, each, project)

    def state(self, job_id: str) -> JobState | None:
        """The state of a job of any project; None without the job."""
        row = self._database.row(f"{_STATE} WHERE id = ?", job_id)
        return None if row is None else JobState(*row)

    def states(self, *statuses: str) -> list[JobState]:
        """The states of the jobs of all projects that have one of these, in the order of their arrival."""
        rows = self._database.rows(
            f"{_STATE} WHERE status IN ({_marks(statuses)}) ORDER BY seq", *statuses
        )
        return [JobState(*row) for row in rows]

    def counts(self) -> dict[str, int]:
        """How many jobs of all projects are in each state that any has."""
        rows = self._database.rows("SELECT status, COUNT(*) FROM job GROUP BY status")
        return {row[0]: row[1] for row in rows}

    def with_wanted(self, wanted: str) -> list[JobState]:
        """The states of the jobs of all projects whose workers have this to obey."""
        rows = self._database.rows(
            f"{_STATE} WHERE wanted != '' AND wanted = ? ORDER BY seq", wanted
        )
        return [JobState(*row) for row in rows]

    def move(
        self,
        job_id: str,
        to: str,
        from_: Collection[str],
        *,
        events: Sequence[NewEvent] = (),
        **columns: Any,
    ) -> bool:
        """Change the status of a job, if it is one of these; whether it was.

        Args:
            job_id: of the job.
            to: the new status.
            from_: the statuses that it may have.
            events: added to the job's with the change, or not at all.
            columns: what changes with it; see `CHANGEABLE`.
        """
        return self._change(job_id, {"status": to, **columns}, from_, events)

    def note(self, job_id: str, while_in: Collection[str] | None = None, **columns: Any) -> bool:
        """Change a job but for its status; see `CHANGEABLE`. Whether there is such a job.

        Args:
            job_id: of the job.
            while_in: the statuses that it may have; None for any.
            columns: what changes.
        """
        return self._change(job_id, columns, while_in)

    def _change(
        self,
        job_id: str,
        columns: Mapping[str, Any],
        statuses: Collection[str] | None,
        events: Sequence[NewEvent] = (),
    ) -> bool:
        changed = columns_of(columns, (*CHANGEABLE, "status"))
        only = "" if statuses is None else f" AND status IN ({_marks(statuses)})"
        with self._database.write() as file:
            done = file.execute(
                f"UPDATE job SET {assignments(changed)} WHERE id = ?{only}",  # noqa: S608
                bindable([*changed.values(), job_id, *(statuses or ())]),
            ).rowcount
            for event in events if done else ():
                insert_event(file, job_id, event)
        return done > 0

    def delete(self, project: str, job_id: str) -> bool:
        """Delete a job with its events, checkpoints and folder; whether there was one."""

        def rows(file: sqlite3.Connection) -> list[str]:
            deleted = file.execute(
                "DELETE FROM job WHERE id = ? AND project = ?", bindable((job_id, project))
            ).rowcount
            if deleted:
                file.execute("DELETE FROM event WHERE job_id = ?", (job_id,))
                file.execute("DELETE FROM checkpoint WHERE job_id = ?", (job_id,))
            return [job_id] * deleted

        return bool(self._database.delete(rows, self._remove))


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))


def _job(row: sqlite3.Row) -> StoredJob:
    return StoredJob(
        id=row["id"],
        project=row["project"],
        status=row["status"],
        created_at=row["created_at"],
        request=from_json(row["request"]),
        spec=from_json(row["spec"]),
        metadata=from_json(row["metadata"]),
        wanted=row["wanted"],
        attempt=row["attempt"],
        reached=row["reached"],
        finished_at=row["finished_at"],
        error=from_json(row["error"]),
        fine_tuned_model=row["fine_tuned_model"],
        trained_tokens=row["trained_tokens"],
        estimated_finish=row["estimated_finish"],
        result_files=tuple(from_json(row["result_files"])),
        heartbeat=row["heartbeat"],
    )
