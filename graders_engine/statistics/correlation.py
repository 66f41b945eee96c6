"""Correlations of two columns of numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graders_engine.statistics.estimate import Floats
from graders_engine.statistics.rounding import ROUNDING


def pearson(first: Floats, second: Floats) -> float | None:
    """Pearson's correlation over the rows where both have a number; None if one of them does not vary.

    Args:
        first: one number per row, NaN for a missing one.
        second: the other column, in the same form.
    """
    both = ~(np.isnan(first) | np.isnan(second))
    first, second = first[both], second[both]
    if not (_varies(first) and _varies(second)):
        return None
    return float(np.clip(_standard(first) @ _standard(second), -1.0, 1.0))


def pearson_matrix(columns: list[Floats]) -> list[list[float | None]]:
    """Pearson's correlation of each pair of columns; a missing number excludes the row for its pairs only."""
    table: list[list[float | None]] = [[None] * len(columns) for _ in columns]
    for at, column in enumerate(columns):
        for other in range(at, len(columns)):
            table[at][other] = table[other][at] = pearson(column, columns[other])
    return table


def spearman(first: Floats, second: Floats) -> float | None:
    """Spearman's rank correlation, with mean ranks for ties; None if one of them does not vary.

    Numbers that differ by rounding only are ties.
    """
    if not (_varies(first) and _varies(second)):
        return None
    return pearson(_ranks(first), _ranks(second))


def kendall(first: Floats, second: Floats) -> float | None:
    """Kendall's tau-b, as in `scipy.stats.kendalltau`; None if one of them does not vary.

    Numbers that differ by rounding only are ties.
    """
    if not (_varies(first) and _varies(second)):
        return None
    from scipy import stats  # type: ignore[import-untyped]  # takes half a second to import

    found = float(stats.kendalltau(_levels(first), _levels(second)).statistic)
    return None if np.isnan(found) else found


def _standard(values: Floats) -> Floats:
    """The values centred, at length 1; scaled first so that no square overflows."""
    centred: Floats = values - values.mean()
    centred = centred / np.abs(centred).max()
    return centred / float(np.linalg.norm(centred))


@np.errstate(over="ignore")
def _varies(values: Floats) -> bool:
    """Whether there are two that differ by more than rounding."""
    if len(values) < 2:
        return False
    low, high = values.min(), values.max()
    return bool(high - low > ROUNDING * max(1.0, abs(low), abs(high)))


@np.errstate(over="ignore")
def _levels(values: Floats) -> NDArray[np.int64]:
    """Of each number, how many different ones are below it; rounding alone makes no difference."""
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    levels = np.zeros(len(values), np.int64)
    slack = ROUNDING * np.maximum(1.0, np.abs(ascending[1:]))
    levels[order[1:]] = np.cumsum(np.diff(ascending) > slack)
    return levels


def _ranks(values: Floats) -> Floats:
    """The rank of each number from 1, equal ones with the mean of theirs."""
    levels = _levels(values)
    counts = np.bincount(levels)
    ranks: Floats = np.cumsum(counts) - (counts - 1) / 2
    return ranks[levels]
