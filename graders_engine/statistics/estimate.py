"""A mean and its 95 % interval, clustered by group: the rows of a group are not independent.

The intervals are formulas, not resampling: the same data give the same numbers, 100,000 rows take
milliseconds, and with few groups the coverage is better than that of a percentile or BCa bootstrap
(`python -m benchmarks intervals` shows both).

With few rows a formula may pass the end of what a mean can be: six rewards between 0 and 1 may give an
interval from -1 on. Where a grader's form says which rewards it can give, the interval ends there, or at a
value beyond it that was seen, such as the reward of an invalid row. Of other graders nothing is cut off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graders_engine.statistics.rounding import ROUNDING

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Range = tuple[float, float]
"""The lowest and the highest possible value."""

COVERED = 0.975
"""Quantile of the upper end of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % confidence interval.

    Attributes:
        value: the mean over the rows.
        low: lower end; None if the data do not determine it: one group, or all rewards equal (unless
            they are 0 or 1).
        high: upper end; None if `low` is.
        rows: number of rows.
        groups: number of groups.
    """

    value: float
    low: float | None
    high: float | None
    rows: int
    groups: int

    def within(self, allowed: Range | None, values: Floats) -> Estimate:
        """The same, with an interval that ends where the allowed values and those that were seen end.

        Args:
            allowed: the lowest and the highest possible value; None if unknown.
            values: those that were seen, at least one.
        """
        if allowed is None or self.low is None or self.high is None:
            return self
        lowest, highest = min(allowed[0], values.min()), max(allowed[1], values.max())
        # The mean of equal values may differ from them by rounding.
        low = min(max(self.low, float(lowest)), self.value)
        return replace(self, low=low, high=max(min(self.high, float(highest)), self.value))


@dataclass(frozen=True, slots=True)
class Clusters:
    """Values summed by group.

    Attributes:
        sums: the sum of each group's values.
        sizes: the number of values of each group.
    """

    sums: Floats
    sizes: Floats

    @property
    def mean(self) -> float:
        """Mean over all values."""
        return float(self.sums.sum() / self.sizes.sum())

    @property
    def single(self) -> bool:
        """Whether every group has one value."""
        return bool(self.sizes.max() == 1)

    def influences(self) -> Floats:
        """What each group contributes to the error of the mean: the residuals of the ratio estimator.

        Source: Cochran, Sampling Techniques, 3rd ed. 1977, section 6.3 (linearised ratio); Cameron and
        Miller 2015, J. Human Resources 50(2), for the cluster-robust variance, the mean of their squares.
        """
        return (self.sums - self.mean * self.sizes) / float(self.sizes.mean())


def clusters(values: Floats, groups: NDArray[Any] | None = None) -> Clusters:
    """Sum values by group.

    Args:
        values: one per row.
        groups: the name of each row's group; None if every row is a group.
    """
    return clusters_of(values, None if groups is None else group_numbers(groups))


def clusters_of(values: Floats, places: NDArray[np.integer[Any]] | None = None) -> Clusters:
    """As `clusters`, of groups with numbers from 0; those without a value are left out.

    Args:
        values: one per row.
        places: the number of each row's group; None if every row is a group.
    """
    if places is None:
        return Clusters(values.astype(np.float64), np.ones(len(values)))
    sizes = np.bincount(places)
    found = sizes > 0
    return Clusters(
        np.bincount(places, values)[found].astype(np.float64), sizes[found].astype(np.float64)
    )


def group_numbers(groups: NDArray[Any]) -> Ints:
    """The names of the groups as consecutive numbers from 0."""
    return np.unique(groups, return_inverse=True)[1].ravel().astype(np.int64)


def estimate(
    values: Floats, groups: NDArray[Any] | None = None, allowed: Range | None = None
) -> Estimate | None:
    """The mean with its interval; None without values.

    Rewards that are all 0 or 1 get Wilson's interval, with the effective number of rows of these groups
    (Wilson 1927, JASA 22; Korn and Graubard 1998, Survey Methodology 24(2), for the effective number and
    its t quantile). Others get Student's t with the skewness removed by Hall's cubic transformation
    (Hall 1992, J. R. Statist. Soc. B 54(1)), the analytic counterpart of the studentized bootstrap.

    Args:
        values: finite rewards, one per row.
        groups: the name of each row's group; None if every row is a group.
        allowed: the lowest and the highest possible reward; None if unknown.
    """
    return estimate_some(values, groups, allowed) if len(values) else None


def estimate_some(
    values: Floats, groups: NDArray[Any] | None = None, allowed: Range | None = None
) -> Estimate:
    """As `estimate`, for at least one value."""
    return estimate_clusters(clusters(values, groups), values, allowed)


def estimate_clusters(
    clustered: Clusters, values: Floats, allowed: Range | None = None
) -> Estimate:
    """As `estimate`, of at least one value, given the sums of the values by group."""
    count = len(clustered.sums)
    ends = None
    if count > 1:
        binary = bool(np.isin(values, (0.0, 1.0)).all())
        ends = _wilson(clustered) if binary else _hall(clustered)
    low, high = ends or (None, None)
    return Estimate(clustered.mean, low, high, len(values), count).within(allowed, values)


def estimate_chances(chances: Floats, draws: int) -> Estimate | None:
    """The mean of probabilities, one of each group, with Wilson's interval; None without any.

    The effective number of draws is that with which a share would have the same standard error; for one
    draw of each row, the interval is that of `estimate` for groups of one size.

    Args:
        chances: from 0 to 1.
        draws: how many draws they rest on in all, at least one a group; the effective number is at most that.
    """
    if not len(chances):
        return None
    clustered = clusters(chances)
    mean, count = min(max(clustered.mean, 0.0), 1.0), len(chances)
    if count < 2:
        return Estimate(mean, None, None, count, count)
    error, variance = standard_error(clustered), mean * (1 - mean)
    effective = float(count)
    if variance > 0:
        most = float(max(draws, count))
        effective = min(variance / error**2, most) if error else most
    return Estimate(mean, *_wilson_ends(mean, effective, t_quantile(count)), count, count)


def share(passed: int, rows: int) -> Estimate:
    """As `estimate`, of `passed` ones among `rows` values of 0 or 1, each a group of its own; rows > 0."""
    if rows < 2:
        return Estimate(passed / rows, None, None, rows, rows)
    ends = _wilson_ends(passed / rows, float(rows), float(special().ndtri(COVERED)))
    return Estimate(passed / rows, *ends, rows, rows)


def _wilson(clustered: Clusters) -> tuple[float, float]:
    mean, count, rows = clustered.mean, len(clustered.sums), float(clustered.sizes.sum())
    variance, error = mean * (1 - mean), standard_error(clustered)
    if variance == 0:  # all 0 or all 1: each group is one observation
        effective = float(count)
    else:
        effective = min(variance / error**2, rows) if error and not clustered.single else rows
    z = float(special().ndtri(COVERED)) if clustered.single else t_quantile(count)
    return _wilson_ends(mean, effective, z)


def _wilson_ends(mean: float, effective: float, z: float) -> tuple[float, float]:
    variance = mean * (1 - mean)
    shrink = 1 + z**2 / effective
    centre = (mean + z**2 / (2 * effective)) / shrink
    half = z / shrink * math.sqrt(variance / effective + z**2 / (4 * effective**2))
    # The ends hold the mean also where rounding would not let them.
    return min(max(centre - half, 0.0), mean), max(min(centre + half, 1.0), mean)


def _hall(clustered: Clusters) -> tuple[float, float] | None:
    error = standard_error(clustered)
    if error is None:
        return None
    influences, count = clustered.influences(), len(clustered.sums)
    influences /= np.abs(influences).max()  # so that their powers do not overflow
    skewness = float(np.mean(influences**3) / np.mean(influences**2) ** 1.5) / math.sqrt(count)
    quantile = t_quantile(count)
    low, high = (clustered.mean - error * _unskewed(q, skewness) for q in (quantile, -quantile))
    return low, high


def _unskewed(quantile: float, skewness: float) -> float:
    """The studentized error whose transform is this quantile: the inverse of Hall's cubic."""
    if abs(skewness) < ROUNDING:  # the limit; the quotient below would lose all digits
        return quantile
    return 3 / skewness * (float(np.cbrt(1 + skewness * (quantile - skewness / 6))) - 1)


def standard_error(clustered: Clusters) -> float | None:
    """Cluster-robust standard error of the mean; None if there is one group, or no variation."""
    count = len(clustered.sums)
    influences = clustered.influences()
    if count < 2 or np.abs(influences).max() <= ROUNDING * np.abs(clustered.sums).max():
        return None
    return root_mean_square(influences) / math.sqrt(count - 1)


def root_mean_square(values: Floats) -> float:
    """The root mean square of values that are not all 0, without overflow or underflow."""
    largest = float(np.abs(values).max())
    return largest * math.sqrt(float(np.mean((values / largest) ** 2)))


def t_quantile(count: int) -> float:
    """Student's t at 97.5 % for this many groups."""
    return float(special().stdtrit(count - 1, COVERED))


def special() -> Any:
    """The functions of `scipy.special`."""
    # Not above: it takes a quarter of a second, and a page that opens again shows rows without it.
    from scipy import special as functions  # type: ignore[import-untyped]  # it ships no type information

    return functions
