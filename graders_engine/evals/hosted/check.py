"""Compare our rewards with the scores that the hosted evals gave to the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graders_engine.blocking import Engine
from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.rows.formats import open_records
from graders_engine.errors import UnavailableGrader
from graders_engine.evals.hosted.imported import ImportedEval
from graders_engine.outcome import RowOutcome

TOLERANCE = 1e-9
"""Largest difference of equal numbers: versions of Python and of packages sum in different orders."""
_NO_GRADER = "there is no grader for it"
_NOT_GIVEN = "there is no grader for it: pass --grader FILE with a grader of its name"
_JUDGE = "judges are not asked"


@dataclass(slots=True)
class HostedCheck:
    """The hosted scores of one name in the rows of one run, and our rewards beside them.

    Attributes:
        key: the key of the scores in the rows' `hosted`.
        rows: the file of rows.
        compared: how many rows have a hosted score.
        equal: how many of them have the same reward here.
        failed: how many of them could not be graded here, such as without a sandbox; they count as
            different, and are in no mean.
        first_difference: (id of the row, our reward as the API would serve it, the hosted score).
        not_graded: why there are no rewards of ours; empty if there are.
    """

    key: str
    rows: Path
    compared: int = 0
    equal: int = 0
    failed: int = 0
    first_difference: tuple[str, float, float] | None = None
    not_graded: str = ""
    _hosted_sum: float = 0.0
    _our_sum: float = 0.0

    def add(self, row: dict[str, Any], graded: RowOutcome | None) -> None:
        """Compare one row; None for one that is not graded."""
        hosted = float(row["hosted"][self.key])
        self.compared += 1
        if graded is None or graded.served is None:
            self.failed += graded is not None
            self._hosted_sum += hosted if graded is None else 0.0
            return
        ours = graded.served
        self._hosted_sum += hosted
        self._our_sum += ours
        if abs(ours - hosted) <= TOLERANCE:
            self.equal += 1
        elif self.first_difference is None:
            self.first_difference = (str(row["id"]), ours, hosted)

    @property
    def hosted_mean(self) -> float | None:
        """The mean of the hosted scores, of the rows that were graded here where any were."""
        rows = self.compared - self.failed
        return self._hosted_sum / rows if rows else None

    @property
    def our_mean(self) -> float | None:
        """The mean of our rewards for the same rows, as the API would serve them."""
        rows = self.compared - self.failed
        return self._our_sum / rows if rows and not self.not_graded else None


def check(engine: Engine, imported: ImportedEval) -> Iterator[HostedCheck]:
    """Grade imported rows with each criterion that asks no model, and compare with the hosted scores.

    Args:
        engine: grades; it should run templates as they were served.
        imported: the rows and the criteria.
    """
    criteria = {one.key: one for one in imported.criteria}
    compiled: dict[str, CompiledGrader] = {}
    for run in imported.runs:
        for key in run.scores:
            result = HostedCheck(key, run.path)
            criterion = criteria.get(key)
            if criterion is None or criterion.asks_a_model:
                missing = _NO_GRADER if imported.eval.known else _NOT_GIVEN
                result.not_graded = _JUDGE if criterion else missing
                criterion = None
            try:
                if criterion is not None and key not in compiled:
                    compiled[key] = engine.compile(criterion.grader)
                _compare(engine, None if criterion is None else compiled[key], result)
            except UnavailableGrader as error:
                result.not_graded = str(error)
                _compare(engine, None, result)
            yield result


def _compare(engine: Engine, grader: CompiledGrader | None, result: HostedCheck) -> None:
    def scored_rows() -> Iterator[dict[str, Any]]:
        for ref in open_records(result.rows, "jsonl").read():
            if result.key in ref.row["hosted"]:
                yield ref.row

    if grader is None:
        for row in scored_rows():
            result.add(row, None)
        return
    outcomes = engine.score_single(grader, scored_rows())
    for row, graded in zip(scored_rows(), outcomes, strict=True):
        result.add(row, graded)
