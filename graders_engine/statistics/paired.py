"""Two runs over the same rows: the difference, how sure it is, and what could have been seen at all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special  # type: ignore[import-untyped]  # scipy ships no type information

from graders_engine.statistics.correlation import kendall, spearman
from graders_engine.statistics.estimate import (
    ROUNDING,
    Clusters,
    Estimate,
    Floats,
    clusters,
    estimate_some,
    root_mean_square,
    standard_error,
    t_quantile,
)

POWER = 0.8
"""Chance to find a difference of the size that `Paired.detectable` names."""
EXACT_GROUPS = 15
"""Groups whose 32,768 ways to take their signs are all counted; with more, ways are drawn."""
DRAWN_GROUPS = 2_000
"""Groups up to which ways are drawn; with more, the normal limit is as good and takes no time."""
DRAWS = 9_999
"""Ways that are drawn: p to about 0.004 near 0.05."""
_BLOCK = 1 << 21


@dataclass(frozen=True, slots=True)
class Paired:
    """Two runs over the same rows.

    Attributes:
        before: mean of the first run.
        after: mean of the second.
        difference: mean of second minus first, with its paired interval.
        p_value: of no difference at all: a chance for one at least this large; two-sided.
        test: what gave the p-value.
        wins: rows on which the second is higher.
        ties: rows on which both are equal.
        losses: rows on which the second is lower.
        spearman: rank correlation of the two; None where one of them is the same on all rows.
        kendall: Kendall's tau-b; None as above.
        detectable: smallest true difference that this many rows find four times out of five; None where
            the data cannot tell.
    """

    before: Estimate
    after: Estimate
    difference: Estimate
    p_value: float
    test: str
    wins: int
    ties: int
    losses: int
    spearman: float | None
    kendall: float | None
    detectable: float | None


def paired(before: Floats, after: Floats, groups: NDArray[Any] | None = None) -> Paired | None:
    """Compare two runs row by row; None without rows.

    Args:
        before: finite rewards of the first run.
        after: those of the second, of the same rows in the same order.
        groups: of each row, what its group is called; None where each row is a group.
    """
    if not len(before):
        return None
    differences = apart(before, after)
    difference, detectable = estimate_difference(differences, groups)
    p_value, test = _no_difference(clusters(differences, groups), differences)
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    return Paired(
        estimate_some(before, groups),
        estimate_some(after, groups),
        difference,
        p_value,
        test,
        wins,
        len(differences) - wins - losses,
        losses,
        spearman(before, after),
        kendall(before, after),
        detectable,
    )


def apart(before: Floats, after: Floats) -> Floats:
    """Second minus first, row by row; what only rounding tells apart is 0."""
    differences = after - before
    return np.where(np.abs(differences) <= ROUNDING, 0.0, differences)


def estimate_difference(
    differences: Floats, groups: NDArray[Any] | None = None
) -> tuple[Estimate, float | None]:
    """The mean of paired differences with its interval, and the smallest that could have been found.

    Student's t by group, steadied where only few rows changed. The smallest difference is the one that
    the same spread lets a two-sided 5 % test find with a chance of `POWER` (Bloom 1995, Evaluation Review
    19(5): the minimum detectable effect).

    Args:
        differences: at least one, one a row, as `apart` gives them.
        groups: of each row, what its group is called; None where each row is a group.
    """
    gathered = clusters(differences, groups)
    steadied, count = _steadied(gathered, differences), len(gathered.sums)
    error = standard_error(steadied)
    if error is None or count < 2:
        return Estimate(gathered.mean, None, None, len(differences), count), None
    reach = error * t_quantile(len(steadied.sums))
    furthest = 1.0 if _whole_steps(differences) else math.inf
    low = max(steadied.mean - reach, -furthest)
    high = min(steadied.mean + reach, furthest)
    detectable = error * (t_quantile(count) + float(special.ndtri(POWER)))
    return Estimate(gathered.mean, low, high, len(differences), count), detectable


def _steadied(gathered: Clusters, differences: Floats) -> Clusters:
    """Where few rows changed, or every change is one whole step, two groups more: one up, one down.

    A handful of changes says little about their spread, so that a plain interval would be too sure.
    Source: Bonett and Price 2012, J. Educ. Behav. Stat. 37(4), for 0/1 rewards, one row a group; other
    sizes take a step of the changes' root mean square.
    """
    changed = gathered.sums[np.abs(gathered.sums) > ROUNDING]
    sparse = 2 * len(changed) <= len(gathered.sums)
    if not len(changed) or not (sparse or _whole_steps(differences)):
        return gathered
    step = root_mean_square(changed)
    size = gathered.sizes.mean()
    return Clusters(
        np.append(gathered.sums, (step, -step)), np.append(gathered.sizes, (size, size))
    )


def _whole_steps(differences: Floats) -> bool:
    return bool(np.isin(differences, (-1.0, 0.0, 1.0)).all())


def _no_difference(gathered: Clusters, differences: Floats) -> tuple[float, str]:
    """The p-value of no difference, by group, and the test that gave it."""
    sums = gathered.sums[np.abs(gathered.sums) > ROUNDING]
    if not len(sums):
        return 1.0, "no row differs"
    if gathered.single and _whole_steps(differences):
        return _mcnemar(int((sums > 0).sum()), int((sums < 0).sum())), "McNemar's exact test"
    if len(sums) <= EXACT_GROUPS:
        return _exact_signs(sums), "exact sign-flip test"
    if len(sums) <= DRAWN_GROUPS:
        return _drawn_signs(sums), f"sign-flip test, {DRAWS:,} draws"
    z = math.sqrt(len(sums)) * abs(float(sums.mean())) / root_mean_square(sums)
    return 2 * float(special.ndtr(-z)), "sign-flip test, normal limit"


def _mcnemar(up: int, down: int) -> float:
    """McNemar's exact test: the changed rows as tosses of a fair coin.

    Source: McNemar 1947, Psychometrika 12(2); exact form as in `scipy.stats.binomtest`.
    """
    return min(1.0, 2 * float(special.bdtr(min(up, down), up + down, 0.5)))


def _exact_signs(sums: Floats) -> float:
    """Fisher's randomisation test: share of all ways to take the signs with a sum as far from 0.

    Source: Fisher, The Design of Experiments, 1935, section 21.
    """
    ways = np.arange(1 << len(sums))[:, None] >> np.arange(len(sums)) & 1
    return float(np.mean(_as_far((2.0 * ways - 1) @ sums, sums)))


def _drawn_signs(sums: Floats) -> float:
    """The same from drawn ways, the given one counted among them; seeded, so that it is the same each time.

    Source: Phipson and Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9(1), for the added one.
    """
    random = np.random.default_rng(0)
    found, left = 0, DRAWS
    while left:
        block = min(left, max(1, _BLOCK // len(sums)))
        ways = random.integers(0, 2, (block, len(sums)), dtype=np.int8)
        found += int(_as_far((2.0 * ways - 1) @ sums, sums).sum())
        left -= block
    return (found + 1) / (DRAWS + 1)


def _as_far(totals: Floats, sums: Floats) -> NDArray[np.bool_]:
    """Whether each total is as far from 0 as the given one, sums in another order counted as equal."""
    return np.abs(totals) >= abs(float(sums.sum())) - ROUNDING * float(np.abs(sums).sum())
