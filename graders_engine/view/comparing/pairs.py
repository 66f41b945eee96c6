"""The pairs of rows of two runs that are open, with what changed in each."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from operator import is_
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from graders_engine.dataset.results.columns import STANDINGS, STATUSES, RunColumns
from graders_engine.dataset.results.compare import Comparison, compare_pairs
from graders_engine.dataset.results.pairing import Pairing, pair_rows
from graders_engine.dataset.results.same_data import Sources
from graders_engine.report.compared import row_pairs_note
from graders_engine.report.html.comparison import comparison_sections
from graders_engine.report.provenance import Provenance
from graders_engine.statistics.estimate import Floats
from graders_engine.statistics.paired import apart
from graders_engine.view.opened import OpenRun

Change = Literal["better", "worse", "newly_invalid", "newly_failed", "newly_valid", "same"]
CHANGES: tuple[Change, ...] = get_args(Change)
KEPT = 2
"""Comparisons that are kept: those that were used last."""
_STATUS_OF = np.array([STATUSES.index(status) for status, _ in STANDINGS], dtype=np.int8)


@dataclass(frozen=True, slots=True)
class Compared:
    """Two runs, compared.

    Attributes:
        comparison: as `graders compare` has it, without rows.
        pairing: which rows belong together.
        changes: of each pair, an index into `CHANGES`.
        moves: of each pair, how much higher its reward is in the second run; NaN where one has none.
        sections: (id, heading, HTML) as on the page of `graders compare`.
        warnings: what must be known before rows are read.
    """

    comparison: Comparison
    pairing: Pairing
    changes: NDArray[np.int8]
    moves: Floats
    sections: list[tuple[str, str, str]]
    warnings: list[str]

    def counts(self) -> dict[str, int]:
        """How many pairs changed how."""
        found = np.bincount(self.changes, minlength=len(CHANGES)).tolist()
        return dict(zip(CHANGES, found, strict=True))


class Comparisons:
    """Compares runs, and keeps the comparisons that were used last; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[_Cached] = []

    def of(self, first: OpenRun, second: OpenRun, sources: Sources) -> Compared:
        """Two runs, compared.

        Raises:
            DataSetError: their rows cannot be paired.
            InvalidRequest: there is no such path to pair them by.
        """
        columns = first.columns, second.columns  # others, when a file has changed
        with self._lock:
            for kept in self._kept:
                if kept.sources == sources and all(map(is_, kept.columns, columns)):
                    self._kept.remove(kept)
                    self._kept.append(kept)
                    return kept.compared
        compared = _compared(first, second, sources)
        with self._lock:
            self._kept.append(_Cached(columns, sources, compared))
            del self._kept[:-KEPT]
        return compared


class _Cached(NamedTuple):
    """A comparison that is kept, and what it is of."""

    columns: tuple[RunColumns, RunColumns]
    sources: Sources
    compared: Compared


def _compared(first: OpenRun, second: OpenRun, sources: Sources) -> Compared:
    pairing = pair_rows(first.columns, second.columns, sources)
    comparison = compare_pairs(first.columns, second.columns, pairing, top=0)
    origins = [
        Provenance(run.path, dict(run.meta), data)
        for run, data in ((first, sources.before), (second, sources.after))
    ]
    named = replace(
        comparison,
        before=replace(comparison.before, name=first.path.name),
        after=replace(comparison.after, name=second.path.name),
    )
    note = row_pairs_note(comparison)
    return Compared(
        comparison,
        pairing,
        *_changes(first, second, pairing),
        [*comparison_sections(named, origins)],
        [f"Rows are paired within their prompts: {note}."] if note else [],
    )


def _changes(first: OpenRun, second: OpenRun, pairing: Pairing) -> tuple[NDArray[np.int8], Floats]:
    """What changed in each pair, and by how much; a difference by rounding only is none."""
    here, there = pairing.before, pairing.after
    was = _STATUS_OF[first.columns.standings[here]]
    now = _STATUS_OF[second.columns.standings[there]]
    moves = apart(first.columns.counted[here], second.columns.counted[there])
    changes = np.full(len(here), CHANGES.index("same"), dtype=np.int8)
    changes[moves > 0] = CHANGES.index("better")
    changes[moves < 0] = CHANGES.index("worse")
    for status, change in (
        ("scored", "newly_valid"),
        ("invalid", "newly_invalid"),
        ("failed", "newly_failed"),
    ):
        changes[(was != now) & (now == STATUSES.index(status))] = CHANGES.index(change)
    return changes, moves
