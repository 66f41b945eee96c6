"""What the address of a list of rows asks for: filters, order, page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from graders_engine.outcome import Blame, Status
from graders_engine.report.row_texts import RowKey


class Span(NamedTuple):
    """A range of numbers; its ends belong to it, but for rounding.

    Attributes:
        low: its lower end; None for none.
        high: its upper end; None for none.
        below: whether the upper end does not belong to it, as in the bins of a histogram (`0.8..<0.9`).
    """

    low: float | None
    high: float | None
    below: bool = False


class Sort(NamedTuple):
    """An order of rows. Equal ones are in the order of the data; those without a value are last.

    Attributes:
        by: "row", "reward", "seconds" or "sub".
        key: of the sub-reward, for "sub".
        descending: whether the largest value is first.
    """

    by: str = "row"
    key: str = ""
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """What an address asks for.

    Attributes:
        q: the search, as typed.
        statuses: rows with one of these; all without any.
        blames: rows with one of these; all without any.
        flags: rows with one of these; all without any.
        reward: of the reward that counts in the mean (`ResultLine.counted`).
        seconds: of the grading's time.
        sub_rewards: by key; rows must pass all.
        sort: the order.
        page: from 1; None for the first, or the one on which `row` stands.
        per_page: rows of a page.
        row: the row that is open; None for none.
    """

    q: str = ""
    statuses: tuple[Status, ...] = ()
    blames: tuple[Blame, ...] = ()
    flags: tuple[str, ...] = ()
    reward: Span | None = None
    seconds: Span | None = None
    sub_rewards: tuple[tuple[str, Span], ...] = ()
    sort: Sort = Sort()
    page: int | None = None
    per_page: int = 50
    row: RowKey | None = None


def parse_query(query_string: str) -> Query:
    """Read the query of an address, without its question mark.

    Raises:
        InvalidRequest: with all mistakes.
    """
    raise NotImplementedError
