"""A judge's answers to the rows of a data set, beside what people say of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from graders_engine.blocking import Engine
from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.results.agreement import JudgeAgreement, judge_agreement
from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.rows.read import DataSet
from graders_engine.dataset.scoring.grading import Place, graded
from graders_engine.errors import DataSetError
from graders_engine.outcome import Usage, total_usage


class Checked(msgspec.Struct, frozen=True):
    """What a judge came to.

    Attributes:
        agreement: the judge held against people, and against itself.
        unlabelled: rows that people said nothing of; the judge was not asked about them.
        failed: rows without an answer for which the infrastructure is to blame.
        usage: the tokens that it took, by model.
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
) -> Checked:
    """Ask the judge about each row that people have labelled, and compare.

    A label_model grader's labels are compared with people's labels; any other grader's rewards with
    people's numbers.

    Args:
        engine: what asks.
        compiled: the grader.
        data_set: the rows.
        human: the field with people's label or number, in the row or in its item: "human",
            "review.score".
        passing: of numbers, the least that passes; as for `judge_agreement`.

    Raises:
        DataSetError: no row has a label of people, or labels and answers cannot be compared.
    """
    labels: list[float | str] = []
    unlabelled = 0

    def places() -> Iterator[Place]:
        nonlocal unlabelled
        for line, _, raw in data_set.records.read():
            label = _label(raw, human)
            for sample, group, row in data_set.shape.pieces(raw, line):
                if label is None:
                    unlabelled += 1
                    continue
                labels.append(label)
                yield line, sample, group, row

    results = list(graded(engine, compiled, places()))
    if not results:
        raise DataSetError(
            f"No row of {data_set.records.path} has a label under '{human}': name the field with --human."
        )
    agreement = judge_agreement([_answers(result) for result in results], labels, passing=passing)
    failed = sum(result.status == "failed" for result in results)
    return Checked(agreement, unlabelled, failed, total_usage(result.usage for result in results))


def _answers(result: ResultLine) -> list[float] | list[str]:
    if result.status != "scored" or result.reward is None:
        return []
    if "" in result.labels:
        return result.labels[""]
    return result.repeats.get("", [result.reward])


def _label(raw: Any, human: str) -> float | str | None:
    """People's label in a row, or else in its item; a field's own name may hold dots."""
    item = raw.get("item") if isinstance(raw, dict) else None
    for place in (raw, item):
        for path in ([human], human.split(".")):
            found: Any = place
            for key in path:
                found = found.get(key) if isinstance(found, dict) else None
            if isinstance(found, bool):
                return float(found)
            if isinstance(found, int | float | str):
                return found
    return None
