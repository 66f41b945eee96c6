"""The rows on which a grader is tried: of a run, with what is recorded of them, or of a data set."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from msgspec import to_builtins

from graders_engine.dataset.results.allowed import allowed_rewards
from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.rows.read import open_data
from graders_engine.dataset.rows.records import RowRef
from graders_engine.statistics.estimate import Floats, Ints, estimate
from graders_engine.view.opened import OpenRun
from graders_engine.view.query import parse_query

Which = Literal["first", "drawn", "filter"]
KEPT = 8
"""Sets of rows that are kept: those that were used last."""
DRAWN_FROM = 100_000
"""Of a data set, so many rows are read to draw some of them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows to take.

    Attributes:
        which: the first ones, some drawn ones, or those that a query asks for.
        count: how many at most.
        query: of an address, for "filter".
    """

    which: Which = "first"
    count: int = 200
    query: str = ""


@dataclass(frozen=True, slots=True)
class TriedRows:
    """Rows to grade.

    Attributes:
        refs: the rows.
        results: what is recorded of each; empty for a data set.
        groups: of each row, a number that it shares with the samples of its prompt.
        notes: what to say of how they were chosen.
    """

    refs: list[RowRef]
    results: list[ResultLine]
    groups: Ints
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.refs)

    def first(self, count: int) -> TriedRows:
        """So many of them."""
        return TriedRows(self.refs[:count], self.results[:count], self.groups[:count], self.notes)

    def stored_json(self, meta: Mapping[str, Any]) -> Any:
        """The recorded mean over these rows."""
        counted = counted_of(self.results)
        known = ~np.isnan(counted)
        if not known.any():
            return None
        groups = self.groups[known]
        return to_builtins(estimate(counted[known], groups, allowed_rewards(meta).reward))


def counted_of(results: Sequence[ResultLine]) -> Floats:
    """The rewards that count in the mean; NaN for others."""
    values = (result.counted for result in results)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


class RowSets:
    """Reads rows, and keeps the sets that were used last; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Any, TriedRows] = OrderedDict()

    def of_run(self, run: OpenRun, wanted: Wanted) -> TriedRows:
        """Rows of a run.

        Raises:
            InvalidRequest: the query is wrong.
            DataSetError: the data set cannot be read.
        """
        key = (run.path, _state(run.path), wanted)
        searching = (
            wanted.which == "filter" and "q=" in wanted.query
        )  # it continues while it is asked
        return self._get(None if searching else key, lambda: _of_run(run, wanted))

    def of_data(self, path: Path, wanted: Wanted) -> TriedRows:
        """Rows of a data set.

        Raises:
            InvalidRequest: its rows have no known shape, or no model's outputs.
            DataSetError: it cannot be read.
        """
        return self._get((path, _state(path), wanted), lambda: _of_data(path, wanted))

    def _get(self, key: Any, read: Callable[[], TriedRows]) -> TriedRows:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        rows = read()
        if key is not None:
            with self._lock:
                self._kept[key] = rows
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
        return rows


def _state(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:  # what reads it says so
        return (0, 0, 0)
    return found.st_ino, found.st_size, found.st_mtime_ns


def _of_run(run: OpenRun, wanted: Wanted) -> TriedRows:
    rows, notes = len(run.columns.lines), []
    indexes: list[int]
    if wanted.which == "filter":
        selection = run.rows(parse_query(wanted.query))
        indexes = selection.slice(0, wanted.count)
        if selection.search is not None and not selection.search.done:
            notes.append("The search has not ended: these are rows of those that it has found.")
        elif selection.search is not None and selection.search.problem:
            notes.append(f"Not all rows were searched. {selection.search.problem}")
    elif wanted.which == "drawn":
        indexes = _drawn(rows, wanted.count)
    else:
        indexes = list(range(min(rows, wanted.count)))
    places = np.array(indexes, dtype=np.int64)
    refs = [run.row(index) for index in indexes]
    return TriedRows(
        refs, [run.result(index) for index in indexes], run.columns.groups[places], notes
    )


def _drawn(rows: int, count: int) -> list[int]:
    """Some of so many rows, always the same ones."""
    chosen = np.random.default_rng(0).choice(rows, min(rows, count), replace=False)
    found: list[int] = np.sort(chosen).tolist()
    return found


def _of_data(path: Path, wanted: Wanted) -> TriedRows:
    data = open_data(path)
    split: Iterable[RowRef] = (ref for raw in data.records.read() for ref in data.shape.split(raw))
    notes = []
    if wanted.which == "drawn":
        refs = list(islice(split, DRAWN_FROM))
        if len(refs) == DRAWN_FROM:
            notes.append(f"These rows are drawn from the first {DRAWN_FROM:,} of the data set.")
        refs = [refs[at] for at in _drawn(len(refs), wanted.count)]
    else:
        refs = list(islice(split, wanted.count))
    names = {name: -1 - at for at, name in enumerate(dict.fromkeys(ref.group for ref in refs))}
    groups = [ref.line if ref.group is None else names[ref.group] for ref in refs]
    return TriedRows(refs, [], np.array(groups, dtype=np.int64), notes)
