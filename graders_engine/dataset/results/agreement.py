"""A judge's agreement with human labels and with itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import median

import numpy as np

from graders_engine.errors import DataSetError
from graders_engine.statistics.agreement import (
    Calibration,
    Flips,
    calibration,
    cohen_kappa,
    flips,
    interval_alpha,
    nominal_alpha,
    quadratic_kappa,
)
from graders_engine.statistics.correlation import pearson, spearman
from graders_engine.statistics.estimate import Estimate, Floats, estimate_some
from graders_engine.statistics.paired import estimate_difference

PASSED, FAILED = "passed", "failed"
"""The labels that numbers are matched as."""


@dataclass(frozen=True, slots=True)
class Matching:
    """How often a judge gives the same label as people.

    Attributes:
        agreement: share of rows with equal labels.
        kappa: Cohen's kappa; None if both always give one and the same label.
        constant: the most frequent human label.
        constant_agreement: agreement of a judge that always gives it (its kappa is 0), for comparison.
        confusion: (the judge's label, the human label, rows), the most frequent first.
    """

    agreement: Estimate
    kappa: float | None
    constant: str
    constant_agreement: float
    confusion: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a judge's numbers are from human numbers.

    Attributes:
        kappa: Cohen's kappa with quadratic weights; None if both always give one and the same number.
        pearson: correlation; None if one of them does not vary.
        spearman: rank correlation; None likewise.
        absolute_error: mean distance.
        constant: the human median.
        constant_error: mean distance of a judge that always gives it (its kappa is 0), for comparison.
        bias: mean of judge minus human.
        calibration: the human mean and the judge's, by bins of the judge's numbers.
    """

    kappa: float | None
    pearson: float | None
    spearman: float | None
    absolute_error: Estimate
    constant: float
    constant_error: float
    bias: Estimate
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class JudgeAgreement:
    """A judge's agreement with human labels.

    Attributes:
        rows: rows with an answer of the judge and a human label.
        unanswered: rows without an answer of the judge, which count nowhere else.
        passing: the smallest number that passes, if numbers were matched as passed or failed.
        matching: of labels, or of passed and failed; None for numbers that were not matched.
        distance: of numbers; None for labels.
        flips: how often the judge's repeats differ; None without repeats.
        alpha: Krippendorff's alpha over the repeats, of labels or of numbers; None without repeats, and
            if no answers of the judge differ at all.
    """

    rows: int
    unanswered: int
    passing: float | None
    matching: Matching | None
    distance: Distance | None
    flips: Flips | None
    alpha: float | None


def judge_agreement(
    answers: Sequence[Sequence[float] | Sequence[str]],
    human: Sequence[float | str],
    *,
    passing: float | None = None,
) -> JudgeAgreement:
    """Measure a judge's agreement with human labels.

    A row's answer is the median of the judge's numbers, or the most frequent of its labels (the first of
    equally frequent ones). Its repeats are compared unchanged.

    Args:
        answers: for each row, the judge's answers, one for each time it was asked: all finite numbers or
            all text; empty if it gave no answer.
        human: for each row, the human label or number: of the same type.
        passing: the smallest number that passes; numbers are then also matched as passed or failed.
            Without it, that is done only if all numbers are 0 or 1.

    Raises:
        DataSetError: the two have different numbers of rows, or no row has both, or numbers and text are
            mixed.
    """
    if len(answers) != len(human):
        raise DataSetError(f"The judge answered {len(answers)} rows, but people {len(human)}.")
    kept: list[tuple[list[float | str], float | str]] = [
        ([*repeats], label) for repeats, label in zip(answers, human, strict=True) if repeats
    ]
    if not kept:
        raise DataSetError("No row has both an answer of the judge and a human label.")
    texts = {isinstance(value, str) for repeats, label in kept for value in (*repeats, label)}
    if len(texts) > 1:
        raise DataSetError(
            "The judge's answers and the human labels must be all numbers or all text, but they are mixed. "
            "For a judge that gives rewards, the human labels must be numbers."
        )
    unanswered = len(answers) - len(kept)
    if True in texts:
        return _label_agreement(
            [[str(answer) for answer in repeats] for repeats, _ in kept],
            [str(label) for _, label in kept],
            unanswered,
        )
    return _number_agreement(
        [[float(answer) for answer in repeats] for repeats, _ in kept],
        np.array([float(label) for _, label in kept]),
        unanswered,
        passing,
    )


def _label_agreement(answers: list[list[str]], human: list[str], unanswered: int) -> JudgeAgreement:
    judge = [Counter(repeats).most_common(1)[0][0] for repeats in answers]
    matching = _match(judge, human)
    alpha = nominal_alpha(answers)
    return JudgeAgreement(len(human), unanswered, None, matching, None, flips(answers), alpha)


def _number_agreement(
    answers: list[list[float]], human: Floats, unanswered: int, passing: float | None
) -> JudgeAgreement:
    judge = np.array([median(repeats) for repeats in answers])
    if passing is None and {0.0, 1.0}.issuperset([*human, *chain.from_iterable(answers)]):
        passing = 1.0
    matching = None
    if passing is not None:
        matching = _match(_pass_labels(judge, passing), _pass_labels(human, passing))
    middle = float(np.median(human))
    distance = Distance(
        quadratic_kappa(judge, human),
        pearson(judge, human),
        spearman(judge, human),
        estimate_some(np.abs(judge - human), allowed=(0.0, np.inf)),
        middle,
        float(np.abs(human - middle).mean()),
        estimate_difference(human, judge)[0],
        calibration(judge, human),
    )
    alpha = interval_alpha(answers)
    return JudgeAgreement(
        len(human), unanswered, passing, matching, distance, flips(answers), alpha
    )


def _pass_labels(values: Floats, passing: float) -> list[str]:
    return [PASSED if value >= passing else FAILED for value in values]


def _match(judge: list[str], human: list[str]) -> Matching:
    agreed = estimate_some(
        np.array([float(one == other) for one, other in zip(judge, human, strict=True)])
    )
    constant, rows_with_it = Counter(human).most_common(1)[0]
    confusion = Counter(zip(judge, human, strict=True)).most_common()
    return Matching(
        agreed,
        cohen_kappa(judge, human),
        constant,
        rows_with_it / len(human),
        tuple((*pair, rows) for pair, rows in confusion),
    )
