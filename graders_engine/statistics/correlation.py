"""How two columns of numbers go together."""

from __future__ import annotations

import numpy as np

from graders_engine.statistics.estimate import Floats


def pearson(first: Floats, second: Floats) -> float | None:
    """Pearson's correlation of the rows on which both are numbers; None where one does not vary.

    Args:
        first: one number a row, NaN for a missing one.
        second: the same of the other column.
    """
    both = ~(np.isnan(first) | np.isnan(second))
    first, second = first[both], second[both]
    if not (_varies(first) and _varies(second)):
        return None
    return float(np.clip(_standard(first) @ _standard(second), -1.0, 1.0))


def pearson_matrix(columns: list[Floats]) -> list[list[float | None]]:
    """Pearson's correlation of each column with each; a missing number leaves out that pair's row only."""
    table: list[list[float | None]] = [[None] * len(columns) for _ in columns]
    for at, column in enumerate(columns):
        for beside in range(at, len(columns)):
            table[at][beside] = table[beside][at] = pearson(column, columns[beside])
    return table


def spearman(first: Floats, second: Floats) -> float | None:
    """Spearman's rank correlation, ties at their mean rank; None where one does not vary."""
    if not (_varies(first) and _varies(second)):
        return None
    from scipy import stats  # type: ignore[import-untyped]  # takes half a second to import

    return pearson(stats.rankdata(first), stats.rankdata(second))


def kendall(first: Floats, second: Floats) -> float | None:
    """Kendall's tau-b, as `scipy.stats.kendalltau`; None where one does not vary."""
    if not (_varies(first) and _varies(second)):
        return None
    from scipy import stats

    return float(stats.kendalltau(first, second).statistic)


def _standard(values: Floats) -> Floats:
    """Centred, and of length 1; scaled first, so that no square leaves the range of floats."""
    centred: Floats = values - values.mean()
    centred = centred / np.abs(centred).max()
    return centred / float(np.linalg.norm(centred))


def _varies(values: Floats) -> bool:
    return len(values) > 1 and bool((values != values[0]).any())
