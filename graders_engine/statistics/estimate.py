"""A mean and its 95 % interval, by group: the rows of a group are one draw, not several.

The intervals are formulas, not resampling: the same data give the same numbers, 100,000 rows take
milliseconds, and with few groups they cover better than a percentile or BCa bootstrap
(`python -m benchmarks intervals` shows both).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special  # type: ignore[import-untyped]  # scipy ships no type information

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COVERED = 0.975
"""Quantile of the upper end of an interval that covers 95 %."""
ROUNDING = 1e-9
"""Two rewards nearer than this are the same: another machine's or library's last bits make no difference."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, and where the true one lies with 95 % confidence.

    Attributes:
        value: the mean over the rows.
        low: lower end; None where the data cannot tell: one group, or all rewards equal (unless they
            are 0 or 1).
        high: upper end; None with `low`.
        rows: rows it is over.
        groups: groups they are in.
    """

    value: float
    low: float | None
    high: float | None
    rows: int
    groups: int


@dataclass(frozen=True, slots=True)
class Clusters:
    """Values gathered by group.

    Attributes:
        sums: of each group's values.
        sizes: how many each group has.
    """

    sums: Floats
    sizes: Floats

    @property
    def mean(self) -> float:
        """Mean over all values."""
        return float(self.sums.sum() / self.sizes.sum())

    @property
    def single(self) -> bool:
        """Whether each group is one value."""
        return bool(self.sizes.max() == 1)

    def influences(self) -> Floats:
        """What each group adds to the mean's error: the residuals of the ratio estimator.

        Source: Cochran, Sampling Techniques, 3rd ed. 1977, section 6.3 (linearised ratio); Cameron and
        Miller 2015, J. Human Resources 50(2), for the cluster-robust variance that their squares give.
        """
        return (self.sums - self.mean * self.sizes) / float(self.sizes.mean())


def clusters(values: Floats, groups: NDArray[Any] | None = None) -> Clusters:
    """Gather values by group.

    Args:
        values: one a row.
        groups: of each row, what its group is called; None where each row is a group.
    """
    if groups is None:
        return Clusters(values.astype(np.float64), np.ones(len(values)))
    places = numbered(groups)
    return Clusters(
        np.bincount(places, values).astype(np.float64), np.bincount(places).astype(np.float64)
    )


def numbered(groups: NDArray[Any]) -> Ints:
    """The groups' names as numbers from 0, none left out."""
    return np.unique(groups, return_inverse=True)[1].ravel().astype(np.int64)


def estimate(values: Floats, groups: NDArray[Any] | None = None) -> Estimate | None:
    """The mean with its interval; None without values.

    Rewards that are all 0 or 1 take Wilson's interval, with as many rows as would be worth these groups
    (Wilson 1927, JASA 22; Korn and Graubard 1998, Survey Methodology 24(2), for the effective number and
    its t quantile). All others take Student's t with the skewness removed by Hall's cubic transformation
    (Hall 1992, J. R. Statist. Soc. B 54(1)), the analytic counterpart of the studentized bootstrap.

    Args:
        values: finite rewards, one a row.
        groups: of each row, what its group is called; None where each row is a group.
    """
    return estimate_some(values, groups) if len(values) else None


def estimate_some(values: Floats, groups: NDArray[Any] | None = None) -> Estimate:
    """As `estimate`, of at least one value."""
    gathered = clusters(values, groups)
    count = len(gathered.sums)
    ends = None
    if count > 1:
        binary = bool(np.isin(values, (0.0, 1.0)).all())
        ends = _wilson(gathered) if binary else _hall(gathered)
    low, high = ends or (None, None)
    return Estimate(gathered.mean, low, high, len(values), count)


def _wilson(gathered: Clusters) -> tuple[float, float]:
    mean, count, rows = gathered.mean, len(gathered.sums), float(gathered.sizes.sum())
    variance, error = mean * (1 - mean), standard_error(gathered)
    if variance == 0:  # all 0 or all 1 says as much as there are groups
        effective = float(count)
    else:
        effective = min(variance / error**2, rows) if error and not gathered.single else rows
    z = float(special.ndtri(COVERED)) if gathered.single else t_quantile(count)
    shrink = 1 + z**2 / effective
    centre = (mean + z**2 / (2 * effective)) / shrink
    half = z / shrink * math.sqrt(variance / effective + z**2 / (4 * effective**2))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _hall(gathered: Clusters) -> tuple[float, float] | None:
    error = standard_error(gathered)
    if error is None:
        return None
    influences, count = gathered.influences(), len(gathered.sums)
    influences /= np.abs(influences).max()  # so that the powers stay within the range of floats
    skewness = float(np.mean(influences**3) / np.mean(influences**2) ** 1.5) / math.sqrt(count)
    quantile = t_quantile(count)
    low, high = (gathered.mean - error * _unskewed(q, skewness) for q in (quantile, -quantile))
    return low, high


def _unskewed(quantile: float, skewness: float) -> float:
    """The studentized error whose transform is this quantile: Hall's cubic, inverted."""
    if abs(skewness) < ROUNDING:  # the limit; the quotient below would lose every digit
        return quantile
    return 3 / skewness * (float(np.cbrt(1 + skewness * (quantile - skewness / 6))) - 1)


def standard_error(gathered: Clusters) -> float | None:
    """Standard error of the mean, robust to whatever the rows of a group have in common; None without any."""
    count = len(gathered.sums)
    influences = gathered.influences()
    if count < 2 or np.abs(influences).max() <= ROUNDING * np.abs(gathered.sums).max():
        return None
    return root_mean_square(influences) / math.sqrt(count - 1)


def root_mean_square(values: Floats) -> float:
    """Of values that are not all 0, whatever their size."""
    largest = float(np.abs(values).max())
    return largest * math.sqrt(float(np.mean((values / largest) ** 2)))


def t_quantile(count: int) -> float:
    """Student's t at 97.5 % for this many groups."""
    return float(special.stdtrit(count - 1, COVERED))
