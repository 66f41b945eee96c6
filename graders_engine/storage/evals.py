"""Evals: a row each; what is on the wire is kept as JSON, what is searched and sorted by has a column."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from graders_engine.language import strict_json
from graders_engine.storage.database import Database, bindable
from graders_engine.storage.pages import Found, Listing, Page


@dataclass(frozen=True, slots=True)
class StoredEval:
    """An eval.

    Attributes:
        id: `eval_…`.
        project: whose it is.
        name: may be empty.
        metadata: keys and texts; None without any.
        created_at: seconds since 1970.
        updated_at: seconds since 1970.
        body: `data_source_config` and `testing_criteria`, as they are on the wire.
    """

    id: str
    project: str
    name: str
    metadata: Mapping[str, str] | None
    created_at: int
    updated_at: int
    body: Mapping[str, Any]


class Evals:
    """The evals of all projects.

    Args:
        database: where they are.
        remove_runs: called with the ids of an eval's runs when it was deleted.
    """

    def __init__(
        self, database: Database, remove_runs: Callable[[Sequence[str]], object] = len
    ) -> None:
        self._database, self._remove_runs = database, remove_runs

    def add(self, new: StoredEval) -> None:
        """Keep an eval; when this returns, it is on the disk.

        Raises:
            StoreError: the disk is full, or there is an eval of this id.
        """
        self._database.change(
            "INSERT INTO eval (id, project, name, metadata, created_at, updated_at, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            new.id, new.project, new.name, as_json(new.metadata), new.created_at, new.updated_at,
            as_json(new.body),
        )  # fmt: skip

    def get(self, project: str, id: str) -> StoredEval | None:  # noqa: A002 - the wire's word
        """An eval; None if there is none in this project."""
        row = self._database.row("SELECT * FROM eval WHERE id = ? AND project = ?", id, project)
        return None if row is None else _eval(row)

    def find(self, id: str) -> StoredEval | None:  # noqa: A002 - the wire's word
        """An eval of any project, for what makes evals of given ids."""
        row = self._database.row("SELECT * FROM eval WHERE id = ?", id)
        return None if row is None else _eval(row)

    def page(
        self,
        project: str,
        page: Page,
        order_by: Literal["created_at", "updated_at"] = "created_at",
    ) -> Found[StoredEval]:
        """A part of a project's evals.

        Raises:
            UnknownCursor: `after` names none of them.
        """
        with self._database.read() as file:
            found = Listing("eval", {"project": project}, column=order_by).select(file, page)
        return Found([_eval(row) for row in found.data], found.has_more)

    def update(
        self,
        project: str,
        id: str,  # noqa: A002 - the wire's word
        *,
        now: int,
        **changed: Any,
    ) -> StoredEval | None:
        """Change an eval.

        Args:
            project: whose it is.
            id: of the eval.
            now: its `updated_at` from now on.
            changed: `name`, `metadata` or both; what is left out stays.

        Returns:
            The eval as it is now; None if there is none in this project.
        """
        columns = {"updated_at": now, **columns_of(changed, ("name", "metadata"))}
        with self._database.write() as file:
            row = file.execute(
                f"UPDATE eval SET {assignments(columns)} WHERE id = ? AND project = ? RETURNING *",  # noqa: S608
                bindable([*columns.values(), id, project]),
            ).fetchone()
        return None if row is None else _eval(row)

    def delete(self, project: str, id: str) -> bool:  # noqa: A002 - the wire's word
        """Delete an eval with its runs; whether there was one."""

        def rows(file: sqlite3.Connection) -> tuple[bool, list[str]]:
            deleted = file.execute(
                "DELETE FROM eval WHERE id = ? AND project = ?", (id, project)
            ).rowcount
            runs: list[str] = []
            if deleted:
                found = file.execute("DELETE FROM run WHERE eval_id = ? RETURNING id", (id,))
                runs = [row["id"] for row in found.fetchall()]
                file.executemany("DELETE FROM item WHERE run_id = ?", [(run,) for run in runs])
            return deleted > 0, runs

        deleted, _ = self._database.delete(rows, lambda done: self._remove_runs(done[1]))
        return deleted


def as_json(value: object) -> str | None:
    """A value as the text that is kept; None stays None."""
    return None if value is None else strict_json.encode(value).decode()


def from_json(text: str | None) -> Any:
    """The value that was kept."""
    return None if text is None else strict_json.decode(text)


def assignments(columns: Mapping[str, object]) -> str:
    """Columns for SET, their values as parameters."""
    return ", ".join(f"{name} = ?" for name in columns)


JSON_COLUMNS = frozenset({"metadata", "body", "request", "result", "error", "spec", "result_files"})


def columns_of(given: Mapping[str, Any], known: Sequence[str]) -> dict[str, Any]:
    """Values as columns keep them.

    Raises:
        TypeError: one is of no column that may be changed.
    """
    if strange := given.keys() - set(known):
        raise TypeError(f"cannot change {', '.join(sorted(strange))}; only {', '.join(known)}")
    return {
        name: as_json(value) if name in JSON_COLUMNS else value for name, value in given.items()
    }


def _eval(row: sqlite3.Row) -> StoredEval:
    return StoredEval(
        row["id"], row["project"], row["name"], from_json(row["metadata"]), row["created_at"],
        row["updated_at"], from_json(row["body"]),
    )  # fmt: skip
