"""What the address of a list of rows asks for: which rows, in which order, which page of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, get_args
from urllib.parse import parse_qsl

import numpy as np
from numpy.typing import NDArray

from graders_engine.dataset.results.columns import STANDINGS
from graders_engine.errors import InvalidRequest
from graders_engine.outcome import BLAMES, Blame, Status
from graders_engine.report.row_texts import RowKey
from graders_engine.statistics.estimate import Floats
from graders_engine.statistics.rounding import ROUNDING
from graders_engine.view.columns import ViewColumns

STATUSES: tuple[Status, ...] = get_args(Status)
PER_PAGE = (50, 100, 200)
"""How many rows a page may have."""
MAX_CHARS = 8000
"""A longer query is refused."""
Mask = NDArray[np.bool_]
Order = NDArray[np.int32]
_ROW = re.compile(r"([1-9][0-9]{0,17})(?:#([1-9][0-9]{0,8}))?")
_SUB = "sub."
_SORTS = ("row", "reward", "seconds", "length")


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

    def __str__(self) -> str:
        """As an address has it."""
        low, high = ("" if end is None else _short(end) for end in (self.low, self.high))
        return f"{low}..{'<' if self.below else ''}{high}"

    def holds(self, values: Floats) -> Mask:
        """Which values are in it; NaN is not."""
        slack = ROUNDING * np.maximum(1.0, np.abs(values))
        found = ~np.isnan(values)
        if self.low is not None:
            found &= values + slack >= self.low
        if self.high is not None:
            found &= values + slack < self.high if self.below else values - slack <= self.high
        return found


class Sort(NamedTuple):
    """An order of rows. Equal ones are in the order of the data; those without a value are last.

    Attributes:
        by: "row", "reward", "seconds", "length" (of the sample) or "sub".
        key: of the sub-reward, for "sub".
        descending: whether the largest value is first.
    """

    by: str = "row"
    key: str = ""
    descending: bool = False


def _short(end: float) -> str:
    """The number, without the last bits of a computation where no value is that near."""
    short = f"{end:.12g}"
    near = abs(float(short) - end) <= 1e-3 * ROUNDING * max(1.0, abs(end))
    return short if near else repr(end)


FILE_ORDER = Sort()


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
        length: of the characters of the sample.
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
    length: Span | None = None
    sub_rewards: tuple[tuple[str, Span], ...] = ()
    sort: Sort = FILE_ORDER
    page: int | None = None
    per_page: int = 50
    row: RowKey | None = None

    @property
    def filters(self) -> Query:
        """The same without search, order and page: equal ones select the same rows."""
        return replace(self, q="", sort=FILE_ORDER, page=None, per_page=50, row=None)


def parse_query(query_string: str) -> Query:
    """Read the query of an address, without its question mark.

    Raises:
        InvalidRequest: with all mistakes.
    """
    if len(query_string) > MAX_CHARS:
        raise InvalidRequest(f"The query is longer than {MAX_CHARS:,} characters.")
    given: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(query_string, keep_blank_values=True, errors="strict")
    except ValueError as error:  # bytes that are no UTF-8, or too many fields
        raise InvalidRequest(f"The query cannot be read: {error}.") from None
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    mistakes: list[str] = []
    found: dict[str, Any] = {}
    subs: list[tuple[str, Span]] = []
    for name, values in given.items():
        try:
            if name.startswith(_SUB):
                subs.append((name.removeprefix(_SUB), _span(_last(values))))
            elif name in _READERS:
                field, read = _READERS[name]
                found[field] = read(values)
            else:
                known = ", ".join((*_READERS, "sub.KEY"))
                raise _Wrong(f"is not known; there are {known}")
        except _Wrong as wrong:
            mistakes.append(f"`{name}` {wrong}.")
    if mistakes:
        raise InvalidRequest("\n".join(mistakes))
    return Query(sub_rewards=tuple(sorted(subs)), **found)


class _Wrong(Exception):
    """Raised for a value that cannot be read; the text follows the name."""


def _last(values: Sequence[str]) -> str:
    if len(values) > 1:
        raise _Wrong("is there more than once")
    return values[0]


def _span(text: str) -> Span:
    low, dots, high = text.partition("..")
    below = high.startswith("<")
    if not dots:
        raise _Wrong(f"must be LOW..HIGH, where either may be empty, but it is '{text}'")
    found = Span(_end(low, text), _end(high.removeprefix("<"), text), below)
    if found.low is not None and found.high is not None and found.low > found.high:
        raise _Wrong(f"ends before it begins: '{text}'")
    return found


def _end(text: str, of: str) -> float | None:
    if not text.strip():
        return None
    try:
        end = float(text)
    except ValueError:
        end = math.nan
    if not math.isfinite(end):
        raise _Wrong(f"must be LOW..HIGH with numbers, but it is '{of}'")
    return end


def _spanned(values: Sequence[str]) -> Span | None:
    found = _span(_last(values))
    return None if found.low is None and found.high is None else found


def _one_of(known: Sequence[str]) -> Callable[[Sequence[str]], tuple[str, ...]]:
    def read(values: Sequence[str]) -> tuple[str, ...]:
        for value in values:
            if value and value not in known:
                raise _Wrong(f"must be one of {', '.join(known)}, but it is '{value}'")
        return tuple(each for each in known if each in values)

    return read


def _texts(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({value for value in values if value}))


def _count(values: Sequence[str]) -> int:
    text = _last(values)
    if not re.fullmatch("[1-9][0-9]{0,11}", text):
        raise _Wrong(f"must be a number from 1 on, but it is '{text}'")
    return int(text)


def _per_page(values: Sequence[str]) -> int:
    count = _count(values)
    if count not in PER_PAGE:
        raise _Wrong(f"must be one of {', '.join(map(str, PER_PAGE))}, but it is {count}")
    return count


def _sort(values: Sequence[str]) -> Sort:
    text = _last(values)
    by = text.removeprefix("-")
    descending = by != text
    if by.startswith(_SUB):
        return Sort("sub", by.removeprefix(_SUB), descending)
    if by not in _SORTS:
        raise _Wrong(
            f"must be {', '.join(_SORTS)} or sub.KEY, or one of these after a minus sign, but it is '{text}'"
        )
    return Sort(by, "", descending)


def row_key(text: str) -> RowKey | None:
    """What a row's name stands for: "68#2"; None if it is none."""
    found = _ROW.fullmatch(text)
    return RowKey(int(found[1]), int(found[2] or 0)) if found else None


def _row(values: Sequence[str]) -> RowKey:
    text = _last(values)
    found = row_key(text)
    if found is None:
        raise _Wrong(f"must be the name of a row, such as 68 or 68#2, but it is '{text}'")
    return found


_READERS: Mapping[str, tuple[str, Callable[[Sequence[str]], Any]]] = {
    "q": ("q", _last),
    "status": ("statuses", _one_of(STATUSES)),
    "blame": ("blames", _one_of(BLAMES)),
    "flag": ("flags", _texts),
    "reward": ("reward", _spanned),
    "seconds": ("seconds", _spanned),
    "length": ("length", _spanned),
    "sort": ("sort", _sort),
    "page": ("page", _count),
    "per_page": ("per_page", _per_page),
    "row": ("row", _row),
}


def require_names(query: Query, columns: ViewColumns) -> None:
    """Check that a run has what a query names.

    Raises:
        InvalidRequest: it has no such sub-reward, or no row with such a flag.
    """
    named = [key for key, _ in query.sub_rewards]
    if query.sort.by == "sub":
        named.append(query.sort.key)
    flags = {flag for names in columns.sets for flag in names}
    mistakes = [
        f"This run has no {what} `{name}`. It has: {', '.join(known) or 'none'}."
        for what, names, known in (
            ("sub-reward", named, columns.keys),
            ("flag", query.flags, sorted(flags)),
        )
        for name in dict.fromkeys(names)
        if name not in known
    ]
    if mistakes:
        raise InvalidRequest("\n".join(mistakes))


def mask_of(query: Query, columns: ViewColumns) -> Mask | None:
    """Which rows pass all filters but the search; None if there are none, so that all do."""
    parts: list[Mask] = []
    if query.statuses or query.blames:
        wanted = [
            (not query.statuses or status in query.statuses)
            and (not query.blames or blame in query.blames)
            for status, blame in STANDINGS
        ]
        parts.append(np.array(wanted)[columns.standings])
    if query.flags:
        having = [not set(query.flags).isdisjoint(names) for names in columns.sets]
        parts.append(np.array(having, dtype=bool)[columns.flag_sets])
    if query.reward:
        parts.append(query.reward.holds(columns.counted))
    if query.seconds:
        parts.append(query.seconds.holds(columns.seconds))
    if query.length:
        parts.append(query.length.holds(columns.known_lengths()))
    parts += [span.holds(columns.sub_rewards(key)) for key, span in query.sub_rewards]
    if not parts:
        return None
    found = parts.pop()
    for part in parts:
        found &= part
    return found


def order_of(sort: Sort, columns: ViewColumns) -> Order | None:
    """All rows in an order; None for that of the file."""
    if sort.by == "row":
        return _by_row(columns, descending=sort.descending)
    values = columns.sub_rewards(sort.key) if sort.by == "sub" else columns.counted
    if sort.by in ("seconds", "length"):
        values = columns.seconds if sort.by == "seconds" else columns.known_lengths()
    rows = _by_row(columns, descending=False)
    ordered = values if rows is None else values[rows]
    # NaN is sorted behind all numbers; equal values stay as they stand.
    found = np.argsort(-ordered if sort.descending else ordered, kind="stable").astype(np.int32)
    return found if rows is None else rows[found]


def _by_row(columns: ViewColumns, *, descending: bool) -> Order | None:
    lines, numbers = columns.lines, columns.numbers
    steps = np.diff(lines)
    if not ((steps > 0) | ((steps == 0) & (np.diff(numbers) > 0))).all():
        found: Order = np.lexsort((numbers, lines)).astype(np.int32)
    elif descending:
        found = np.arange(len(lines), dtype=np.int32)
    else:
        return None
    return found[::-1] if descending else found
