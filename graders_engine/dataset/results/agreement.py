"""A judge held against people, and against itself."""

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
from graders_engine.statistics.paired import apart, estimate_difference

PASSED, FAILED = "passed", "failed"
"""What a number is matched as."""


@dataclass(frozen=True, slots=True)
class Matching:
    """How often a judge says the same as people.

    Attributes:
        agreement: share of rows on which both say the same.
        kappa: Cohen's kappa; None where both always say one and the same.
        constant: what people say most often.
        constant_agreement: agreement of a judge that always says that, whose kappa is 0: no judge.
        confusion: (the judge's, the people's, rows), the most frequent first.
    """

    agreement: Estimate
    kappa: float | None
    constant: str
    constant_agreement: float
    confusion: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a judge's numbers are from people's.

    Attributes:
        kappa: Cohen's kappa with quadratic weights; None where both always give one and the same number.
        pearson: correlation; None where one of them does not vary.
        spearman: rank correlation; None as above.
        absolute_error: mean distance.
        constant: people's median.
        constant_error: mean distance of a judge that always says that, whose kappa is 0: no judge.
        bias: mean of judge minus people.
        calibration: people's mean beside the judge's, by bins of the judge's.
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
    """A judge held against people's labels.

    Attributes:
        rows: rows with an answer of the judge and a label of people.
        unanswered: rows without an answer of the judge; left out of all else.
        passing: the least number that passes, where numbers were matched as passed or not.
        matching: labels, or passed and failed; None for numbers that were not split so.
        distance: of numbers; None for labels.
        flips: how often the judge's own repeats differ; None without repeats.
        alpha: Krippendorff's alpha over the repeats, of labels or of numbers; None without repeats, and
            where the judge's answers never differ at all.
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
    """Hold a judge against people's labels.

    A row's answer is the median of the judge's numbers, or the most frequent of its labels, the first of
    equals; its repeats are compared as they are.

    Args:
        answers: of each row, what the judge answered each time it was asked: all finite numbers or all
            text; empty where it gave no answer.
        human: of each row, what people say: of the same kind.
        passing: of numbers, the least that passes; both sides are then also matched as passed or
            failed. Without it that is done only where all are 0 or 1.

    Raises:
        DataSetError: the two have not as many rows, or no row has both, or numbers meet text.
    """
    if len(answers) != len(human):
        raise DataSetError(f"The judge answered {len(answers)} rows, but people {len(human)}.")
    kept: list[tuple[list[float | str], float | str]] = [
        ([*said], label) for said, label in zip(answers, human, strict=True) if said
    ]
    if not kept:
        raise DataSetError("No row has both an answer of the judge and a label of people.")
    texts = {isinstance(value, str) for said, label in kept for value in (*said, label)}
    if len(texts) > 1:
        raise DataSetError(
            "The judge's answers and people's labels must be all numbers or all text, but they are mixed. "
            "Where the judge gives rewards, say people's labels as numbers."
        )
    unanswered = len(answers) - len(kept)
    if True in texts:
        return _of_labels(
            [[str(answer) for answer in said] for said, _ in kept],
            [str(label) for _, label in kept],
            unanswered,
        )
    return _of_numbers(
        [[float(answer) for answer in said] for said, _ in kept],
        np.array([float(label) for _, label in kept]),
        unanswered,
        passing,
    )


def _of_labels(answers: list[list[str]], human: list[str], unanswered: int) -> JudgeAgreement:
    judge = [Counter(said).most_common(1)[0][0] for said in answers]
    matching = _matching(judge, human)
    alpha = nominal_alpha(answers)
    return JudgeAgreement(len(human), unanswered, None, matching, None, flips(answers), alpha)


def _of_numbers(
    answers: list[list[float]], human: Floats, unanswered: int, passing: float | None
) -> JudgeAgreement:
    judge = np.array([median(said) for said in answers])
    if passing is None and {0.0, 1.0}.issuperset([*human, *chain.from_iterable(answers)]):
        passing = 1.0
    matching = None
    if passing is not None:
        matching = _matching(_passed(judge, passing), _passed(human, passing))
    middle = float(np.median(human))
    distance = Distance(
        quadratic_kappa(judge, human),
        pearson(judge, human),
        spearman(judge, human),
        estimate_some(np.abs(judge - human)),
        middle,
        float(np.abs(human - middle).mean()),
        estimate_difference(apart(human, judge))[0],
        calibration(judge, human),
    )
    alpha = interval_alpha(answers)
    return JudgeAgreement(
        len(human), unanswered, passing, matching, distance, flips(answers), alpha
    )


def _passed(values: Floats, passing: float) -> list[str]:
    return [PASSED if value >= passing else FAILED for value in values]


def _matching(judge: list[str], human: list[str]) -> Matching:
    agreed = estimate_some(
        np.array([float(one == other) for one, other in zip(judge, human, strict=True)])
    )
    constant, often = Counter(human).most_common(1)[0]
    confusion = Counter(zip(judge, human, strict=True)).most_common()
    return Matching(
        agreed,
        cohen_kappa(judge, human),
        constant,
        often / len(human),
        tuple((*pair, rows) for pair, rows in confusion),
    )
