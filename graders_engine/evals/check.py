"""Our rewards beside the scores that the hosted evals gave to the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graders_engine.blocking import Engine
from graders_engine.dataset.rows.formats import open_records
from graders_engine.errors import UnavailableGrader
from graders_engine.evals.conversion import Criterion, ImportedEval
from graders_engine.outcome import RowOutcome

TOLERANCE = 1e-9
"""Largest difference of two equal numbers: other versions of Python and its packages sum differently."""


@dataclass(slots=True)
class Checked:
    """One criterion on one run's rows.

    Attributes:
        criterion: the criterion.
        rows: the file of rows.
        compared: rows with a hosted score.
        equal: those of them with the same reward here.
        failed: those that could not be graded here, for lack of a sandbox, say; they count as differing.
        first_difference: (id of the row, our reward as the API would serve it, the hosted score).
        unavailable: why the criterion could not be run at all; empty when it was.
    """

    criterion: Criterion
    rows: Path
    compared: int = 0
    equal: int = 0
    failed: int = 0
    first_difference: tuple[str, float, float] | None = None
    unavailable: str = ""

    def add(self, row: dict[str, Any], graded: RowOutcome) -> None:
        """Compare one row."""
        ours, hosted = graded.outcome.served, float(row["hosted"][self.criterion.key])
        self.compared += 1
        self.failed += graded.status == "failed"
        if graded.status != "failed" and abs(ours - hosted) <= TOLERANCE:
            self.equal += 1
        elif self.first_difference is None:
            self.first_difference = (str(row["id"]), ours, hosted)


def check(engine: Engine, own: ImportedEval) -> Iterator[Checked]:
    """Grade an import's rows with each criterion that asks no model, and compare with the hosted scores."""
    for made in own.runs:
        for criterion in own.criteria:
            if criterion.asks_a_model:
                continue
            checked = Checked(criterion, made.path)
            try:
                _compare(engine, checked)
            except UnavailableGrader as error:
                checked.unavailable = str(error)
            if checked.compared or checked.unavailable:
                yield checked


def _compare(engine: Engine, checked: Checked) -> None:
    def scored() -> Iterator[dict[str, Any]]:
        for _, _, row in open_records(checked.rows, "jsonl").read():
            if checked.criterion.key in row["hosted"]:
                yield row

    outcomes = engine.score(checked.criterion.grader, scored())
    for row, graded in zip(scored(), outcomes, strict=True):
        checked.add(row, graded)
