"""Lists in pages: a cursor is the id of the last object of the page before, also after that was deleted."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from graders_engine.storage.errors import UnknownCursor

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted.

    Attributes:
        after: the id of the object before the first one; None for the beginning.
        limit: most objects.
        order: from the oldest on, or from the newest.
    """

    after: str | None = None
    limit: int = 20
    order: Literal["asc", "desc"] = "asc"


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """One page.

    Attributes:
        data: its objects.
        has_more: whether others follow.
    """

    data: Sequence[T]
    has_more: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of a table's rows: those of an owner, of them those that a filter leaves.

    Attributes:
        table: the table; it has the columns `seq` and `id`.
        owner: which rows may be named as a cursor, by column; deleted ones are known by the last of these.
        only: further conditions on what is shown: SQL, and its parameters.
        column: the rows are sorted by it, equal ones by arrival; `seq` is the arrival itself.
    """

    table: str
    owner: Mapping[str, str]
    only: tuple[tuple[str, Sequence[Any]], ...] = ()
    column: str = "seq"

    def select(self, file: sqlite3.Connection, page: Page) -> Found[sqlite3.Row]:
        """The rows of a page.

        Raises:
            UnknownCursor: `after` names no row of the owner's, and none that was deleted.
        """
        conditions = [*_equal(self.owner), *self.only]
        if page.after is not None:
            sign = ">" if page.order == "asc" else "<"
            position = self._position(file, page.after)
            conditions.append((f"({self.column}, seq) {sign} (?, ?)", position))
        where = " AND ".join(sql for sql, _ in conditions)
        direction = "ASC" if page.order == "asc" else "DESC"
        order = ", ".join(f"{name} {direction}" for name in dict.fromkeys((self.column, "seq")))
        # Names of tables and columns come from this package; values are parameters.
        rows = file.execute(
            f"SELECT * FROM {self.table} WHERE {where} ORDER BY {order} LIMIT ?",  # noqa: S608
            [*(value for _, values in conditions for value in values), page.limit + 1],
        ).fetchall()
        return Found(rows[: page.limit], len(rows) > page.limit)

    def _position(self, file: sqlite3.Connection, id: str) -> tuple[int, int]:  # noqa: A002 - as above
        owner = _equal(self.owner)
        where = "".join(f" AND {sql}" for sql, _ in owner)
        found = file.execute(
            f"SELECT {self.column}, seq FROM {self.table} WHERE id = ?{where}",  # noqa: S608
            [id, *(value for _, values in owner for value in values)],
        ).fetchone()
        if found is None:
            found = file.execute(
                "SELECT CASE ? WHEN 'seq' THEN seq WHEN 'created_at' THEN created_at ELSE updated_at END, "
                "seq FROM deleted WHERE id = ? AND kind = ? AND owner = ?",
                [self.column, id, self.table, list(self.owner.values())[-1]],
            ).fetchone()
        if found is None:
            raise UnknownCursor(id)
        return found[0], found[1]


def _equal(columns: Mapping[str, str]) -> list[tuple[str, Sequence[Any]]]:
    return [(f"{name} = ?", (value,)) for name, value in columns.items()]
