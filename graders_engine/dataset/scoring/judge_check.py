"""Ask a judge about the rows of a data set, and compare its answers with human labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from graders_engine.blocking import Engine
from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.results.agreement import JudgeAgreement, judge_agreement
from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.rows.file_state import require_unchanged
from graders_engine.dataset.rows.read import DataSet
from graders_engine.dataset.rows.records import RowRef
from graders_engine.dataset.scoring.early_stop import OutageWatch
from graders_engine.dataset.scoring.grading import grade_rows
from graders_engine.dataset.scoring.held import held_back
from graders_engine.errors import DataSetError
from graders_engine.outcome import Usage, details_line, total_usage


class JudgeCheck(msgspec.Struct, frozen=True):
    """A judge's agreement, and the rows that are left out of it.

    Attributes:
        agreement: of the judge with people, and with itself.
        unlabelled: rows without a human label; the judge was not asked about them.
        failed: rows without an answer for which the infrastructure is to blame.
        usage: the tokens that the judge took, by model.
    """

    agreement: JudgeAgreement
    unlabelled: int
    failed: int
    usage: dict[str, Usage]


def check_judge(
    engine: Engine,
    compiled: CompiledGrader,
    data_set: DataSet,
    human: str,
    *,
    passing: float | None = None,
) -> JudgeCheck:
    """Ask a judge about each row that has a human label, and compare.

    The labels of a label_model grader are compared with human labels; the rewards of any other grader with
    human numbers.

    Args:
        engine: what asks.
        compiled: the grader.
        data_set: the rows.
        human: the field with the human label or number, in the row or in its item: "human",
            "review.score".
        passing: the smallest number that passes; as for `judge_agreement`.

    Raises:
        DataSetError: no row has a human label or an answer, both cannot be compared, or the data changed
            meanwhile.
        RunStopped: the judge refuses what it is asked, or cannot be reached.
    """
    labels: list[float | str] = []
    unlabelled = 0

    def labelled_rows() -> Iterator[RowRef]:
        nonlocal unlabelled
        for raw in data_set.records.read():
            label = _human_label(raw.row, human)
            for ref in data_set.shape.split(raw):
                if label is None:
                    unlabelled += 1
                    continue
                labels.append(label)
                yield ref

    watch = OutageWatch()
    graded = grade_rows(engine, watch.over(compiled), labelled_rows())
    results = list(held_back(graded, watch, None))
    require_unchanged(data_set.records.states)
    if not results:
        raise DataSetError(
            f"No row of {data_set.records.path} has a label under '{human}': name the field with --human."
        )
    answers = [_judge_answers(result) for result in results]
    if not any(answers):
        raise DataSetError(
            f"The judge answered none of {len(results):,} rows; the one on line {results[0].line}: "
            f"{'; '.join(map(details_line, results[0].flags.values()))}"
        )
    agreement = judge_agreement(answers, labels, passing=passing)
    failed = sum(result.status == "failed" for result in results)
    return JudgeCheck(
        agreement, unlabelled, failed, total_usage(result.usage for result in results)
    )


def _judge_answers(result: ResultLine) -> list[float] | list[str]:
    if result.status != "scored" or result.reward is None:
        return []
    if "" in result.labels:
        return result.labels[""]
    return result.repeats.get("", [result.reward])


def _human_label(raw: Any, human: str) -> float | str | None:
    """The human label in a row, or else in its item; the name of a field may contain dots."""
    item = raw.get("item") if isinstance(raw, dict) else None
    for container in (raw, item):
        for path in ([human], human.split(".")):
            found: Any = container
            for key in path:
                found = found.get(key) if isinstance(found, dict) else None
            if isinstance(found, bool):
                return float(found)
            if isinstance(found, int | float | str):
                return found
    return None
