"""How far two readers agree: a judge with people, and a judge with itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from graders_engine.statistics.estimate import ROUNDING, Floats

BINS = 10
"""Bins of the calibration."""


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Cohen's kappa of two readers' labels: the agreement beyond what their habits alone would give.

    1 is full agreement, 0 is what guessing by habit would get. Source: Cohen 1960, Educ. Psychol. Meas.
    20(1).

    Returns:
        None without labels, and where both always give one and the same label.
    """
    if not first:
        return None
    count = len(first)
    agreed = sum(map(lambda one, other: one == other, first, second)) / count
    habits, others = Counter(first), Counter(second)
    by_habit = sum(habits[label] * others[label] for label in habits) / count**2
    return None if by_habit == 1 else (agreed - by_habit) / (1 - by_habit)


def quadratic_kappa(first: Floats, second: Floats) -> float | None:
    """Cohen's kappa of numbers, a disagreement weighing its distance squared.

    Over the values as they are, so that no bins have to be chosen; it then equals Lin's concordance
    correlation. Source: Cohen 1968, Psychol. Bull. 70(4); Lin 1989, Biometrics 45(1).

    Returns:
        None without numbers, and where both are always one and the same number.
    """
    scale = max(float(np.abs(values).max(initial=0)) for values in (first, second))
    if not scale:
        return None
    first, second = first / scale, second / scale
    by_habit = float(first.var() + second.var() + (first.mean() - second.mean()) ** 2)
    if by_habit <= ROUNDING**2:
        return None
    return 1 - float(np.mean((first - second) ** 2)) / by_habit


def nominal_alpha(units: Sequence[Sequence[Hashable]]) -> float | None:
    """Krippendorff's alpha of labels.

    Args:
        units: of each row, the labels that it was given; rows with fewer than two say nothing and are
            left out.

    Returns:
        1 for full agreement, 0 for chance; None where the labels never differ, or there are none.

    Source: Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, sections C and D.
    """
    units = [unit for unit in units if len(unit) > 1]
    totals = Counter(label for unit in units for label in unit)
    count = totals.total()
    if len(totals) < 2:
        return None
    observed = sum(_unlike(Counter(unit)) / (len(unit) - 1) for unit in units) / count
    return 1 - observed / (_unlike(totals) / (count * (count - 1)))


def _unlike(counts: Counter[Hashable]) -> int:
    """Ordered pairs of different labels."""
    return counts.total() ** 2 - sum(number**2 for number in counts.values())


def interval_alpha(units: Sequence[Sequence[float]]) -> float | None:
    """Krippendorff's alpha of numbers, a disagreement weighing its distance squared.

    Args, Returns and Source: as `nominal_alpha`.
    """
    kept = [np.asarray(unit, dtype=np.float64) for unit in units if len(unit) > 1]
    if not kept:
        return None
    every = np.concatenate(kept)
    if np.ptp(every) <= ROUNDING * np.abs(every).max():
        return None
    # The squared distances of all ordered pairs of m numbers sum to 2 m^2 times their variance.
    count = len(every)
    observed = sum(2 * len(u) ** 2 * float(u.var()) / (len(u) - 1) for u in kept) / count
    return 1 - observed / (2 * count**2 * float(every.var()) / (count * (count - 1)))


@dataclass(frozen=True, slots=True)
class Flips:
    """How far a judge that is asked the same several times answers the same.

    Attributes:
        rows: rows that were asked more than once.
        flipped: share of them whose answers do not all agree.
        against_majority: of a row's answers, the share that is not its most frequent one; mean over rows.
    """

    rows: int
    flipped: float
    against_majority: float


def flips(units: Sequence[Sequence[Hashable]]) -> Flips | None:
    """How often repeats differ; None where no row was asked more than once."""
    units = [unit for unit in units if len(unit) > 1]
    if not units:
        return None
    against = [1 - Counter(unit).most_common(1)[0][1] / len(unit) for unit in units]
    return Flips(
        len(units), sum(share > 0 for share in against) / len(units), sum(against) / len(units)
    )


@dataclass(frozen=True, slots=True)
class Bin:
    """The rows whose judge's reward lies in one bin.

    Attributes:
        low: lower edge, in the bin.
        high: upper edge, in the next bin, except for the last.
        rows: how many.
        judge: mean of the judge's rewards.
        human: mean of the people's.
    """

    low: float
    high: float
    rows: int
    judge: float
    human: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether a judge's number means what it says.

    Attributes:
        bins: those with rows, in rising order.
        expected_error: distance of the two means in a bin, by its share of the rows: the expected
            calibration error (Naeini, Cooper and Hauskrecht 2015, AAAI 29).
    """

    bins: tuple[Bin, ...]
    expected_error: float


def calibration(judge: Floats, human: Floats) -> Calibration:
    """Hold a judge's rewards against people's, by equal bins of the judge's.

    The bins span 0 to 1 where the judge's rewards do, else from the lowest to the highest.

    Raises:
        ValueError: there are no rows.
    """
    if not len(judge):
        raise ValueError("there is no calibration of no rows")
    lowest, highest = float(judge.min()), float(judge.max())
    if lowest >= 0 and highest <= 1:
        lowest, highest = 0.0, 1.0
    edges = np.linspace(lowest, highest, BINS + 1)
    # A reward that stands on an edge but for its last bits is in the bin above it.
    places = np.searchsorted(edges[1:-1], judge + ROUNDING * (highest - lowest), side="right")
    bins = []
    for place, (low, high) in enumerate(pairwise(edges.tolist())):
        within = places == place
        if within.any():
            means = float(judge[within].mean()), float(human[within].mean())
            bins.append(Bin(low, high, int(within.sum()), *means))
    error = sum(bin_.rows * abs(bin_.judge - bin_.human) for bin_ in bins) / len(judge)
    return Calibration(tuple(bins), error)
