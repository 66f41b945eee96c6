"""Compare our rewards with the scores that the hosted evals gave to the same rows."""

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
"""Largest difference of equal numbers: versions of Python and of packages sum in different orders."""


@dataclass(slots=True)
class HostedCheck:
    """One criterion on the rows of one run.

    Attributes:
        rows: the file of rows.
        compared: how many rows have a hosted score.
        equal: how many of them have the same reward here.
        failed: how many of them could not be graded here, such as without a sandbox; they count as
            different.
        first_difference: (id of the row, our reward as the API would serve it, the hosted score).
        unavailable: why the criterion cannot be run at all; empty if it can.
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


def check(engine: Engine, imported: ImportedEval) -> Iterator[HostedCheck]:
    """Grade imported rows with each criterion that asks no model, and compare with the hosted scores."""
    for run in imported.runs:
        for criterion in imported.criteria:
            if criterion.asks_a_model:
                continue
            result = HostedCheck(criterion, run.path)
            try:
                _compare(engine, result)
            except UnavailableGrader as error:
                result.unavailable = str(error)
            if result.compared or result.unavailable:
                yield result


def _compare(engine: Engine, result: HostedCheck) -> None:
    def scored_rows() -> Iterator[dict[str, Any]]:
        for ref in open_records(result.rows, "jsonl").read():
            if result.criterion.key in ref.row["hosted"]:
                yield ref.row

    outcomes = engine.score_single(result.criterion.grader, scored_rows())
    for row, graded in zip(scored_rows(), outcomes, strict=True):
        result.add(row, graded)
