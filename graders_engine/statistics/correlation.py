"""Correlations of two columns of numbers."""

from __future__ import annotations

import numpy as np

from graders_engine.statistics.estimate import Floats


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
    """Spearman's rank correlation, with mean ranks for ties; None if one of them does not vary."""
    if not (_varies(first) and _varies(second)):
        return None
    from scipy import stats  # type: ignore[import-untyped]  # takes half a second to import

    return pearson(stats.rankdata(first), stats.rankdata(second))


def kendall(first: Floats, second: Floats) -> float | None:
    """Kendall's tau-b, as in `scipy.stats.kendalltau`; None if one of them does not vary."""
    if not (_varies(first) and _varies(second)):
        return None
    from scipy import stats

    return float(stats.kendalltau(first, second).statistic)


def _standard(values: Floats) -> Floats:
    """The values centred, at length 1; scaled first so that no square overflows."""
    centred: Floats = values - values.mean()
    centred = centred / np.abs(centred).max()
    return centred / float(np.linalg.norm(centred))


def _varies(values: Floats) -> bool:
    return len(values) > 1 and bool((values != values[0]).any())
