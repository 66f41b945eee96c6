"""How far raters agree: a judge with human labels, and a judge with itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from graders_engine.statistics.estimate import Floats
from graders_engine.statistics.rounding import ROUNDING

BINS = 10
"""Number of bins of a calibration."""


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Cohen's kappa of two raters' labels: their agreement beyond chance.

    1 is full agreement; 0 is the agreement expected by chance from how often each rater gives each label.
    Source: Cohen 1960, Educ. Psychol. Meas. 20(1).

    Returns:
        None without labels, or if both raters always give the same single label.
    """
    if not first:
        return None
    count = len(first)
    agreed = sum(map(lambda one, other: one == other, first, second)) / count
    first_counts, second_counts = Counter(first), Counter(second)
    by_chance = sum(first_counts[label] * second_counts[label] for label in first_counts) / count**2
    return None if by_chance == 1 else (agreed - by_chance) / (1 - by_chance)


def quadratic_kappa(first: Floats, second: Floats) -> float | None:
    """Cohen's kappa of numbers, with disagreements weighted by their squared distance.

    It is computed over the values themselves, so that no bins have to be chosen; it then equals Lin's
    concordance correlation. Source: Cohen 1968, Psychol. Bull. 70(4); Lin 1989, Biometrics 45(1).

    Returns:
        None without numbers, or if both are always the same single number.
    """
    scale = max(float(np.abs(values).max(initial=0)) for values in (first, second))
    if not scale:
        return None
    first, second = first / scale, second / scale
    by_chance = float(first.var() + second.var() + (first.mean() - second.mean()) ** 2)
    if by_chance <= ROUNDING**2:
        return None
    return 1 - float(np.mean((first - second) ** 2)) / by_chance


def nominal_alpha(units: Sequence[Sequence[Hashable]]) -> float | None:
    """Krippendorff's alpha of labels.

    Args:
        units: for each row, the labels that it was given; rows with fewer than two are left out.

    Returns:
        1 for full agreement, 0 for chance; None without labels, or if they never differ.

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
    """Krippendorff's alpha of numbers, with disagreements weighted by their squared distance.

    Args, Returns and Source: as `nominal_alpha`.
    """
    arrays = [np.asarray(unit, dtype=np.float64) for unit in units if len(unit) > 1]
    if not arrays:
        return None
    pooled = np.concatenate(arrays)
    if np.ptp(pooled) <= ROUNDING * np.abs(pooled).max():
        return None
    # The squared distances of all ordered pairs of m numbers sum to 2 m^2 times their variance.
    count = len(pooled)
    observed = sum(2 * len(u) ** 2 * float(u.var()) / (len(u) - 1) for u in arrays) / count
    return 1 - observed / (2 * count**2 * float(pooled.var()) / (count * (count - 1)))


@dataclass(frozen=True, slots=True)
class Flips:
    """How consistently a judge answers when asked the same several times.

    Attributes:
        rows: rows that were asked about more than once.
        flipped: share of them whose answers do not all agree.
        against_majority: share of a row's answers that differ from its most frequent one; mean over rows.
    """

    rows: int
    flipped: float
    against_majority: float


def flips(units: Sequence[Sequence[Hashable]]) -> Flips | None:
    """How often repeats differ; None if no row was asked about more than once."""
    units = [unit for unit in units if len(unit) > 1]
    if not units:
        return None
    against = [1 - Counter(unit).most_common(1)[0][1] / len(unit) for unit in units]
    return Flips(
        len(units), sum(share > 0 for share in against) / len(units), sum(against) / len(units)
    )


@dataclass(frozen=True, slots=True)
class Bin:
    """The rows whose reward by the judge is in one bin.

    Attributes:
        low: lower edge, included.
        high: upper edge, excluded except in the last bin.
        judge: mean of the judge's rewards.
        human: mean of the human rewards.
    """

    low: float
    high: float
    rows: int
    judge: float
    human: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """How well a judge's rewards match human ones, by bin.

    Attributes:
        bins: bins with rows, in rising order.
        expected_error: distance between the two means of a bin, weighted by the bin's share of the rows:
            the expected calibration error (Naeini, Cooper and Hauskrecht 2015, AAAI 29).
    """

    bins: tuple[Bin, ...]
    expected_error: float


def calibration(judge: Floats, human: Floats) -> Calibration:
    """Compare a judge's rewards with human ones, in bins of equal width over the judge's rewards.

    The bins cover 0 to 1 if the judge's rewards are in that range, else lowest to highest reward.

    Raises:
        ValueError: there are no rows.
    """
    if not len(judge):
        raise ValueError("a calibration needs at least one row")
    lowest, highest = float(judge.min()), float(judge.max())
    if lowest >= 0 and highest <= 1:
        lowest, highest = 0.0, 1.0
    edges = np.linspace(lowest, highest, BINS + 1)
    # A reward that differs from an edge in its last bits only belongs to the bin above.
    places = np.searchsorted(edges[1:-1], judge + ROUNDING * (highest - lowest), side="right")
    bins = []
    for place, (low, high) in enumerate(pairwise(edges.tolist())):
        within = places == place
        if within.any():
            means = float(judge[within].mean()), float(human[within].mean())
            bins.append(Bin(low, high, int(within.sum()), *means))
    error = sum(bin_.rows * abs(bin_.judge - bin_.human) for bin_ in bins) / len(judge)
    return Calibration(tuple(bins), error)
