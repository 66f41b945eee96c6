"""Rows whose long texts are compared at the same time, on all processors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from time import perf_counter
from typing import Any, cast

from graders_engine.errors import InvalidRow
from graders_engine.graders.base import Comparing, Evaluator, attempt_now
from graders_engine.language.scope import Scope
from graders_engine.outcome import Outcome, RowOutcome
from graders_engine.outputs.row_scope import ScopeOf

GradeRow = Callable[[int, Any, ScopeOf], RowOutcome]
"""Grades one row."""

LONG_CHARS = 800
"""An output of this length is long: comparing it takes longer than the rest of its row."""
BATCH_ROWS = 1024
"""Most rows of a batch."""
BATCH_CHARS = 3_000_000
"""Most characters of a batch, but for its last row: about 10 ms of comparing, which nothing interrupts."""
PAIR_CHARS = 100_000
"""A row with so many is the last one of its batch: comparing it takes long enough."""


def comparing(evaluator: Evaluator) -> Comparing | None:
    """The evaluator, if it compares several rows faster than one after the other."""
    return cast("Comparing", evaluator) if getattr(evaluator, "in_batches", False) else None


def graded_together(
    evaluator: Comparing,
    rows: Iterator[tuple[int, Any]],
    scope_of: ScopeOf,
    grade_row: GradeRow,
) -> Iterator[RowOutcome]:
    """Grade the next rows as a batch.

    Args:
        evaluator: compares their texts.
        rows: the rows with their indexes; no more are taken than the batch has.
        scope_of: reads them.
        grade_row: grades a row by itself, which cannot be read or has no texts.
    """
    started = perf_counter()
    batch = _Batch(evaluator, scope_of, grade_row)
    broken: Exception | None = None
    try:
        for index, row in islice(rows, BATCH_ROWS):
            batch.add(index, row)
            if batch.full:
                break
    except Exception as error:  # noqa: BLE001 - raised below, after the outcomes of the rows before it
        broken = error
    yield from batch.outcomes(started)
    if broken is not None:
        raise broken


class _Batch:
    """Some rows: those that are to be compared, and the outcomes of those that cannot be."""

    def __init__(self, evaluator: Comparing, scope_of: ScopeOf, grade_row: GradeRow) -> None:
        self.full = False
        self._chars = 0
        self._evaluator, self._scope_of, self._grade_row = evaluator, scope_of, grade_row
        self._rows: list[tuple[int, Scope] | RowOutcome] = []
        self._scopes: list[Scope] = []
        self._pairs: list[tuple[str, str]] = []

    def add(self, index: int, row: Any) -> None:
        """Read a row and render its texts."""
        try:
            scope = self._scope_of(row)
        except InvalidRow:
            self._rows.append(self._grade_row(index, row, self._scope_of))
            return
        try:
            left, right = self._evaluator.texts(scope)
        except Exception:  # noqa: BLE001 - raised again, and counted, where the row is graded by itself
            self._rows.append(self._grade_row(index, row, self._scope_of))
            return
        self._rows.append((index, scope))
        self._scopes.append(scope)
        self._pairs.append((left, right))
        chars = len(left) + len(right)
        self._chars += chars
        self.full = chars >= PAIR_CHARS or self._chars >= BATCH_CHARS

    def outcomes(self, started: float) -> Iterator[RowOutcome]:
        """The outcomes in the order of the rows; each row took its share of the time since `started`."""
        compared = iter(self._compared())
        seconds = (perf_counter() - started) / (len(self._rows) or 1)
        for row in self._rows:
            if isinstance(row, RowOutcome):
                yield row
            else:
                index, scope = row
                yield RowOutcome(index, next(compared), scope.flags(), seconds)

    def _compared(self) -> list[Outcome]:
        try:
            return self._evaluator.compute_all(self._pairs)
        except Exception:  # noqa: BLE001 - it is the fault of one row, or of too little memory for all
            return [attempt_now(self._evaluator, scope) for scope in self._scopes]
