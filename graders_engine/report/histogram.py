"""Rewards in bins over the range that they really have."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from graders_engine.report.formatting import written

if TYPE_CHECKING:  # numpy takes a while to import
    from graders_engine.statistics.estimate import Floats

FEW_VALUES = 12
"""With at most so many different rewards each has a bar of its own: 0 and 1 are no range."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of values.

    Attributes:
        edges: the bins' edges, one more than counts; or, where there are few different values, those.
        counts: how many values each bin holds; the last one holds its upper edge, too.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def single(self) -> bool:
        """Whether a bar stands for one value, not for a range."""
        return len(self.edges) == len(self.counts)

    def label(self, place: int) -> str:
        """The value or the range of a bar."""
        if self.single:
            return written(self.edges[place])
        return f"{written(self.edges[place])} to {written(self.edges[place + 1])}"

    def ticks(self) -> list[tuple[str, float]]:
        """What to write below the bars: (text, place in bars from the left)."""
        if self.single:
            return [(written(value), place + 0.5) for place, value in enumerate(self.edges)]
        stride = math.ceil(len(self.counts) / 10)
        return [(written(self.edges[at]), float(at)) for at in range(0, len(self.edges), stride)]

    def described(self) -> str:
        """The chart in a sentence."""
        total = sum(self.counts)
        place = self.counts.index(max(self.counts))
        return (
            f"{total:,} values from {written(self.edges[0])} to {written(self.edges[-1])}; "
            f"most, {self.counts[place]:,}, at {self.label(place)}."
        )


def histogram(
    values: Sequence[float] | Floats, most: int, few_values: int = FEW_VALUES
) -> Histogram | None:
    """Count values in at most `most` bins of a round width, or one by one where few differ.

    Args:
        values: finite numbers; an array counts fastest.
        most: bins, at most; two where it is less.
        few_values: with at most so many different values each is counted by itself.

    Returns:
        The counts; None when there are no values.
    """
    import numpy as np

    given: Any = np.asarray(values, dtype=np.float64)
    if not given.size:
        return None
    different, counts = np.unique(given, return_counts=True)
    if different.size <= few_values:
        return Histogram(tuple(different.tolist()), tuple(counts.tolist()))
    low, high = float(different[0]), float(different[-1])
    edges = _edges(low, high, max(most, 2))
    counts = np.histogram(given, bins=np.asarray(edges))[0]
    return Histogram(edges, tuple(counts.tolist()))


def _edges(low: float, high: float, most: int) -> tuple[float, ...]:
    """Multiples of a round width; one bin where doubles are too coarse for more."""
    width = _round_up(high / most - low / most)
    first, last = math.floor(low / width), math.ceil(high / width)
    while last - first > most:  # the range does not begin at a multiple of the width
        width = _round_up(width * 1.01)
        first, last = math.floor(low / width), math.ceil(high / width)
    edges = [float(f"{at * width:.15g}") for at in range(first, last + 1)]
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)
    rising = all(left < right for left, right in pairwise(edges))
    return tuple(edges) if rising else (low, high)


def _round_up(width: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten."""
    width = max(width, sys.float_info.min)
    power = 10.0 ** math.floor(math.log10(width))
    return power * next(
        factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= width * 0.999999
    )
