"""Runs of evals, and the output items of those that were imported."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from graders_engine.storage.database import Database
from graders_engine.storage.evals import as_json, assignments, columns_of, from_json
from graders_engine.storage.listed_runs import COLUMNS, UNCOUNTED, ListedRun, listed_run
from graders_engine.storage.pages import Found, Listing, Page

_STATUSES = {"passed": "pass", "failed": "fail", "errored": "error"}
"""Statuses of items that lists find by their other spelling."""
CHANGEABLE = ("name", "model", "metadata", "result", "error", "wanted", "attempt", "heartbeat")


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run of an eval.

    Attributes:
        id: `evalrun_…`.
        eval_id: what it runs.
        project: whose it is.
        name: may be empty.
        model: may be empty.
        status: queued, in_progress, completed, failed or canceled.
        metadata: keys and texts; None without any.
        created_at: seconds since 1970.
        request: the data source, as it is on the wire.
        result: counts and results, as they are on the wire.
        error: code and message; None without one.
        wanted: `canceled` from when its worker has to stop until its results are counted for the last
            time; else empty.
        attempt: how many workers were started for it.
        heartbeat: when its worker last said that it works, in seconds since 1970; None before that.
    """

    id: str
    eval_id: str
    project: str
    name: str
    model: str
    status: str
    metadata: Mapping[str, str] | None
    created_at: int
    request: Mapping[str, Any]
    result: Mapping[str, Any]
    error: Mapping[str, Any] | None = None
    wanted: Literal["", "canceled"] = ""
    attempt: int = 0
    heartbeat: float | None = None

    @property
    def uncounted(self) -> bool:
        """Whether the run has ended, and its results are still to be counted for the last time."""
        return RunState(self.id, self.status, self.wanted, self.attempt).uncounted


class RunState(NamedTuple):
    """What of a run is asked for often: its data source may be long."""

    id: str
    status: str
    wanted: str
    attempt: int

    @property
    def uncounted(self) -> bool:
        """Whether the run has ended, and its results are still to be counted for the last time."""
        return self.status in UNCOUNTED and self.wanted == "canceled"


class Runs:
    """The runs of all evals.

    Args:
        database: where they are.
        remove: called with the ids of runs that were deleted.
    """

    def __init__(self, database: Database, remove: Callable[[Sequence[str]], object] = len) -> None:
        self._database, self._remove = database, remove

    def add(self, new: StoredRun) -> bool:
        """Keep a run; when this returns, it is on the disk. False if its eval was deleted meanwhile.

        Raises:
            StoreError: the disk is full, or there is a run of this id.
        """
        added = self._database.change(
            "INSERT INTO run (id, eval_id, project, name, model, status, metadata, created_at, request, "
            "result, error, wanted, attempt, heartbeat) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? "
            "WHERE EXISTS (SELECT 1 FROM eval WHERE id = ? AND project = ?)",
            new.id, new.eval_id, new.project, new.name, new.model, new.status, as_json(new.metadata),
            new.created_at, as_json(new.request), as_json(new.result), as_json(new.error), new.wanted,
            new.attempt, new.heartbeat, new.eval_id, new.project,
        )  # fmt: skip
        return added > 0

    def get(self, project: str, eval_id: str, run_id: str) -> StoredRun | None:
        """A run of an eval; None if there is none in this project."""
        row = self._database.row(
            "SELECT * FROM run WHERE id = ? AND eval_id = ? AND project = ?",
            run_id, eval_id, project,
        )  # fmt: skip
        return None if row is None else _run(row)

    def find(self, run_id: str) -> StoredRun | None:
        """A run of any project, for its worker and what looks after it."""
        row = self._database.row("SELECT * FROM run WHERE id = ?", run_id)
        return None if row is None else _run(row)

    def page(
        self, project: str, eval_id: str, page: Page, status: str | None = None
    ) -> Found[StoredRun]:
        """A part of an eval's runs, in the order of their creation.

        Raises:
            UnknownCursor: `after` names none of them.
        """
        owner = {"project": project, "eval_id": eval_id}
        only = () if status is None else (("status = ?", (status,)),)
        with self._database.read() as file:
            found = Listing("run", owner, only, "created_at").select(file, page)
        return Found([_run(row) for row in found.data], found.has_more)

    def newest(self, project: str, limit: int) -> list[ListedRun]:
        """The newest runs of a project's evals, at most so many."""
        rows = self._database.rows(
            f"SELECT {COLUMNS} WHERE run.project = ? "
            "ORDER BY run.created_at DESC, run.seq DESC LIMIT ?",
            project, limit,
        )  # fmt: skip
        return [listed_run(row) for row in rows]

    def listed(self, project: str, run_id: str) -> ListedRun | None:
        """A run of a project, as `newest` has it; None if there is none."""
        row = self._database.row(
            f"SELECT {COLUMNS} WHERE run.id = ? AND run.project = ?",
            run_id, project,
        )  # fmt: skip
        return None if row is None else listed_run(row)

    def with_status(self, *statuses: str) -> list[StoredRun]:
        """The runs of all projects in these states, in the order of their arrival."""
        rows = self._database.rows(
            f"SELECT * FROM run WHERE status IN ({_marks(statuses)}) ORDER BY seq",  # noqa: S608
            *statuses,
        )
        return [_run(row) for row in rows]

    def state(self, run_id: str) -> RunState | None:
        """The state of a run of any project; None without the run."""
        row = self._database.row("SELECT id, status, wanted, attempt FROM run WHERE id = ?", run_id)
        return None if row is None else RunState(*row)

    def states(self, *statuses: str) -> list[RunState]:
        """As `with_status`, without the rest of the runs."""
        rows = self._database.rows(
            "SELECT id, status, wanted, attempt FROM run WHERE status IN "  # noqa: S608 - as above
            f"({_marks(statuses)}) ORDER BY seq",
            *statuses,
        )
        return [RunState(*row) for row in rows]

    def uncounted(self) -> list[RunState]:
        """The runs of all projects that have ended, and whose results are still to be counted."""
        rows = self._database.rows(
            "SELECT id, status, wanted, attempt FROM run WHERE status IN "  # noqa: S608 - as above
            f"({_marks(UNCOUNTED)}) AND wanted = 'canceled' ORDER BY seq",
            *UNCOUNTED,
        )
        return [RunState(*row) for row in rows]

    def counts(self) -> dict[str, int]:
        """How many runs of all projects are in each state that any has."""
        rows = self._database.rows("SELECT status, COUNT(*) FROM run GROUP BY status")
        return {row[0]: row[1] for row in rows}

    def delete(self, project: str, eval_id: str, run_id: str) -> bool:
        """Delete a run with its items and its folder; whether there was one."""

        def rows(file: sqlite3.Connection) -> list[str]:
            deleted = file.execute(
                "DELETE FROM run WHERE id = ? AND eval_id = ? AND project = ?",
                (run_id, eval_id, project),
            ).rowcount
            if deleted:
                file.execute("DELETE FROM item WHERE run_id = ?", (run_id,))
            return [run_id] * deleted

        return bool(self._database.delete(rows, self._remove))

    def move(self, run_id: str, to: str, from_: Collection[str], **columns: Any) -> bool:
        """Change the status of a run, if it is one of these; whether it was.

        Args:
            run_id: of the run.
            to: the new status.
            from_: the statuses that it may have.
            columns: what changes with it; see `CHANGEABLE`.
        """
        changed = {"status": to, **columns_of(columns, CHANGEABLE)}
        return self._database.change(
            f"UPDATE run SET {assignments(changed)} WHERE id = ? AND status IN ({_marks(from_)})",  # noqa: S608
            *changed.values(), run_id, *from_,
        ) > 0  # fmt: skip

    def note(self, run_id: str, **columns: Any) -> bool:
        """Change a run but for its status; see `CHANGEABLE`. Whether there is such a run."""
        changed = columns_of(columns, CHANGEABLE)
        return self._database.change(
            f"UPDATE run SET {assignments(changed)} WHERE id = ?",  # noqa: S608
            *changed.values(), run_id,
        ) > 0  # fmt: skip


class Items:
    """The output items of imported runs, whole; those of other runs are in the runs' folders.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_many(self, run_id: str, objects: Iterable[Mapping[str, Any]]) -> int:
        """Keep a run's items, each with an `id`; those that are there stay. How many are new."""
        with self._database.write() as file:
            return file.executemany(
                "INSERT INTO item (run_id, id, status, body) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (run_id, id) DO NOTHING",
                ((run_id, item["id"], item_status(item), as_json(item)) for item in objects),
            ).rowcount

    def page(self, run_id: str, page: Page, status: str | None = None) -> Found[dict[str, Any]]:
        """A part of a run's items.

        Raises:
            UnknownCursor: `after` names none of them.
        """
        only = () if status is None else (("status = ?", (status,)),)
        with self._database.read() as file:
            found = Listing("item", {"run_id": run_id}, only).select(file, page)
        return Found([from_json(row["body"]) for row in found.data], found.has_more)

    def get(self, run_id: str, id: str) -> dict[str, Any] | None:  # noqa: A002 - the wire's word
        """An item of a run; None if there is none of this id."""
        row = self._database.row("SELECT body FROM item WHERE run_id = ? AND id = ?", run_id, id)
        return None if row is None else from_json(row["body"])

    def count(self, run_id: str) -> int:
        """How many items of this run are kept here."""
        row = self._database.row("SELECT count(*) AS count FROM item WHERE run_id = ?", run_id)
        return 0 if row is None else int(row["count"])

    def any_of(self, run_id: str) -> bool:
        """Whether items of this run are kept here."""
        return self._database.row("SELECT 1 FROM item WHERE run_id = ?", run_id) is not None


def item_status(item: Mapping[str, Any]) -> str:
    """The status of an output item in the one spelling that is searched and counted by; empty without one."""
    status = item.get("status")
    return _STATUSES.get(status, status) if isinstance(status, str) else ""


def _marks(values: Collection[str]) -> str:
    return ", ".join("?" * len(values))


def _run(row: sqlite3.Row) -> StoredRun:
    return StoredRun(
        row["id"], row["eval_id"], row["project"], row["name"], row["model"], row["status"],
        from_json(row["metadata"]), row["created_at"], from_json(row["request"]),
        from_json(row["result"]), from_json(row["error"]), row["wanted"], row["attempt"],
        row["heartbeat"],
    )  # fmt: skip
