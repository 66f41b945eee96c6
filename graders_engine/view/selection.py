"""The rows that a query asks for, in its order."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from graders_engine.view.query import Order, Query
from graders_engine.view.summary import Summary


@dataclass(frozen=True, slots=True)
class SearchState:
    """How far a search has come.

    Attributes:
        done: whether it has ended.
        scanned: rows that were searched.
        of: all rows.
        about: whether the count is an estimate.
        index: per cent of the texts that are ready to be searched fast; None if all are.
        problem: why the search ended early, or what it could not see; empty if nothing is wrong.
    """

    done: bool
    scanned: int
    of: int
    about: bool = False
    index: int | None = None
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        """As the routes send it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows that a query asks for, in its order.

    Attributes:
        order: their indexes; None for all rows in the order of the file.
        count: how many.
        per_page: how many a page has.
        page: the number of the page that the query asks for, from 1; that of the last one if it is too large.
        summary: their numbers.
        search: how far the search has come; None without one.
    """

    order: Order | None
    count: int
    per_page: int
    page: int
    summary: Summary
    search: SearchState | None = None

    @property
    def pages(self) -> int:
        """How many pages there are, at least 1."""
        return max(-(-self.count // self.per_page), 1)

    def indexes(self, page: int | None = None) -> list[int]:
        """The rows of a page, by default of the one that is asked for."""
        start = ((self.page if page is None else page) - 1) * self.per_page
        return self.slice(start, start + self.per_page)

    def slice(self, start: int, end: int) -> list[int]:
        """The rows from one place to another, which may be beyond the last."""
        end = min(end, self.count)
        if self.order is None:
            return list(range(start, end))
        found: list[int] = self.order[start:end].tolist()
        return found

    def position(self, index: int) -> int | None:
        """Where a row stands, from 0; None if it is not among them."""
        return position_in(self.order, self.count, index)

    def neighbours(self, index: int) -> tuple[int | None, int | None]:
        """The rows before and after a row; None at the ends, and for a row that is not among them."""
        at = self.position(index)
        if at is None:
            return None, None
        before = self.slice(at - 1, at) if at else []
        after = self.slice(at + 1, at + 2)
        return (before[0] if before else None), (after[0] if after else None)


def position_in(order: Order | None, count: int, index: int) -> int | None:
    """Where a row stands in an order of so many rows, from 0; None if it is not among them."""
    if order is None:
        return index if 0 <= index < count else None
    found = np.flatnonzero(order == index)
    return int(found[0]) if len(found) else None


def page_of(query: Query, order: Order | None, count: int, index: int | None) -> int:
    """The page that is asked for, or the last one if it is too large; if none is, that of a row.

    Args:
        query: what is asked.
        order: the rows.
        count: how many.
        index: of the row that is open; None for none.
    """
    last = max(-(-count // query.per_page), 1)
    if query.page is not None:
        return min(query.page, last)
    at = None if index is None else position_in(order, count, index)
    return 1 if at is None else at // query.per_page + 1
