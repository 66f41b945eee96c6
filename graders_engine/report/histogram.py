"""Histograms over the range that the values really have."""

from __future__ import annotations

import math
import sys
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from graders_engine.report.formatting import format_number
from graders_engine.statistics.rounding import ROUNDING, slack

if TYPE_CHECKING:  # numpy takes a while to import
    from graders_engine.statistics.estimate import Floats

BARS = 10
"""The largest number of bars in a terminal."""
FEW_VALUES = 12
"""Up to this many distinct rewards get a bar each: rewards of 0 and 1 are not a range."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of values.

    Attributes:
        edges: the edges of the bins, one more than there are counts; or, if each bar stands for a single
            value, those values.
        counts: how many values are in each bin; the last bin includes its upper edge.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def single(self) -> bool:
        """Whether each bar stands for a single value, not for a range."""
        return len(self.edges) == len(self.counts)

    @property
    def labels(self) -> list[str]:
        """The value or the range of each bar."""
        edges = list(map(format_number, self.edges))
        if self.single:
            return edges
        return [f"{low} to {high}" for low, high in pairwise(edges)]

    @property
    def spans(self) -> list[str]:
        """What selects the values of each bar in an address of the page: "0.8..<0.9", "1.0..1.0"."""
        if self.single:
            return [f"{value!r}..{value!r}" for value in self.edges]
        last = len(self.counts) - 1
        return [
            f"{low!r}..{'<' if at < last else ''}{high!r}"
            for at, (low, high) in enumerate(pairwise(self.edges))
        ]

    def bar_of(self, value: float) -> int:
        """Which bar counts a value."""
        if self.single:
            return min(range(len(self.edges)), key=lambda at: abs(self.edges[at] - value))
        at = bisect_right(self.edges, value + slack(value)) - 1
        return min(max(at, 0), len(self.counts) - 1)

    def describe(self) -> str:
        """The chart in a sentence."""
        total, largest = sum(self.counts), max(self.counts)
        label = self.labels[self.counts.index(largest)]
        values = "values" if self.single else "values in bars"
        return (
            f"{total:,} {values} from {format_number(self.edges[0])} to {format_number(self.edges[-1])}; "
            f"the largest bar, {label}, has {largest:,}."
        )


def histogram(
    counts: Mapping[float, int], max_bins: int, few_values: int = FEW_VALUES
) -> Histogram | None:
    """Count values in bins of a round width, or one by one if there are few distinct values.

    Values that differ by rounding only are one value, and a value that is below an edge by rounding only
    counts as one at the edge: 0.8999999999999999 is shown as 0.9, and is in the bin that begins there.

    Args:
        counts: how often each value occurs; finite numbers.
        max_bins: the largest number of bins; a number below 2 counts as 2.
        few_values: up to this many distinct values are counted one by one.

    Returns:
        The counts; None if there are no values.
    """
    if not counts:
        return None
    values = sorted(counts)
    distinct = _distinct(values, counts)
    if len(distinct) <= few_values:
        return Histogram(tuple(distinct), tuple(distinct.values()))
    edges = _edges(values[0], values[-1], max(max_bins, 2))
    in_bins = [0] * (len(edges) - 1)
    for value in values:
        at = bisect_right(edges, value + slack(value)) - 1
        in_bins[min(at, len(in_bins) - 1)] += counts[value]
    return Histogram(edges, tuple(in_bins))


def counts_of(values: Floats) -> dict[float, int]:
    """How often each value occurs in an array."""
    import numpy as np

    distinct, counts = np.unique(values, return_counts=True)
    return dict(zip(distinct.tolist(), counts.tolist(), strict=True))


def _distinct(values: list[float], counts: Mapping[float, int]) -> dict[float, int]:
    """The values, in rising order, with their counts; of equal ones, the shortest in digits."""
    merged: dict[float, int] = {}
    lowest, label = -math.inf, 0.0
    for value in values:
        if value - lowest <= slack(value):
            count = merged.pop(label) + counts[value]
            label = min(label, value, key=lambda each: len(repr(each)))
        else:
            lowest, label, count = value, value, counts[value]
        merged[label] = count
    return merged


def _edges(low: float, high: float, max_bins: int) -> tuple[float, ...]:
    """Multiples of a round width; a single bin if doubles are too coarse for more."""
    width = round_up(high / max_bins - low / max_bins)
    first, last = _steps(low, high, width)
    while last - first > max_bins:  # the range does not start at a multiple of the width
        width = round_up(width * 1.01)
        first, last = _steps(low, high, width)
    edges = [float(f"{at * width:.15g}") for at in range(first, last + 1)]
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)
    rising = all(left < right for left, right in pairwise(edges))
    return tuple(edges) if rising else (low, high)


def _steps(low: float, high: float, width: float) -> tuple[int, int]:
    """The multiples of the width between which the range lies, but for rounding."""
    first = math.floor(low / width + ROUNDING)
    return first, max(math.ceil(high / width - ROUNDING), first + 1)


def round_up(width: float) -> float:
    """The next larger number of the form 1, 2, 2.5 or 5 times a power of ten."""
    width = max(width, sys.float_info.min)
    power = 10.0 ** math.floor(math.log10(width))
    return power * next(
        factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= width * 0.999999
    )
