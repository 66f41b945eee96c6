"""Two runs over the same rows: the difference, its uncertainty, and the smallest detectable one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from graders_engine.statistics.correlation import kendall, spearman
from graders_engine.statistics.estimate import (
    Clusters,
    Estimate,
    Floats,
    Range,
    clusters,
    estimate_some,
    root_mean_square,
    special,
    standard_error,
    t_quantile,
)
from graders_engine.statistics.rounding import ROUNDING

POWER = 0.8
"""Probability of detecting a difference as large as `Paired.detectable`."""
EXACT_GROUPS = 15
"""Most groups for which all 32,768 sign assignments are counted; with more, they are sampled."""
SAMPLED_GROUPS = 2_000
"""Most groups for which sign assignments are sampled; with more, the normal limit is as good and faster."""
DRAWS = 9_999
"""Sampled sign assignments: p is accurate to about 0.004 near 0.05."""
_BLOCK_SIGNS = 1 << 21
SIGNIFICANT = 0.05
"""P-value under which a difference counts as shown, if the data give no interval."""


@dataclass(frozen=True, slots=True)
class Paired:
    """Two runs over the same rows.

    Attributes:
        before: mean of the first run.
        after: mean of the second run.
        difference: mean of second minus first, with its paired interval.
        p_value: two-sided probability of a difference at least this large if there is none.
        test: the test that gave the p-value.
        wins: pairs whose second is higher.
        ties: pairs whose values are equal.
        losses: pairs whose second is lower.
        spearman: rank correlation; None if one run has the same reward in all pairs.
        kendall: Kendall's tau-b; None in the same case.
        detectable: smallest true difference that this many rows detect with probability `POWER`; None if
            the data do not determine it, or no difference that there can be is as large.
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

    @property
    def computed(self) -> bool:
        """Whether the difference and its interval are numbers: not so if rewards are too large to add."""
        found = self.difference
        numbers = (found.value, found.low, found.high, self.p_value)
        return all(number is None or math.isfinite(number) for number in numbers)

    def direction(self, margin: float = 0.0) -> Literal["higher", "lower", ""]:
        """What is shown of the second run: that it is higher or lower by more than `margin`, or nothing.

        That is so if the whole interval of the difference is beyond the margin; or, if the data give no
        interval (every row changed by the same amount), if the difference is and its p-value is under 5 %.
        """
        found = self.difference
        if not self.computed:
            return ""
        low, high = found.low, found.high
        if low is None or high is None:
            if self.p_value >= SIGNIFICANT:
                return ""
            low = high = found.value
        return "higher" if low > margin else "lower" if high < -margin else ""


def paired(
    before: Floats,
    after: Floats,
    groups: NDArray[Any] | None = None,
    allowed: tuple[Range | None, Range | None] = (None, None),
) -> Paired | None:
    """Compare two runs row by row; None without rows.

    Args:
        before: finite rewards of the first run.
        after: those of the second run, for the same rows in the same order.
        groups: the name of each row's group; None if every row is a group.
        allowed: of both runs, the lowest and the highest possible reward; None if unknown.
    """
    if not len(before):
        return None
    differences = apart(before, after)
    difference, detectable = estimate_difference(before, after, groups, allowed)
    p_value, test = _no_difference(clusters(differences, groups), differences)
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    return Paired(
        estimate_some(before, groups, allowed[0]),
        estimate_some(after, groups, allowed[1]),
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
    """Second minus first, row by row; 0 where they differ by rounding only."""
    differences = after - before
    slack = ROUNDING * np.maximum(1.0, np.maximum(np.abs(before), np.abs(after)))
    return np.where(np.abs(differences) <= slack, 0.0, differences)


def estimate_difference(
    before: Floats,
    after: Floats,
    groups: NDArray[Any] | None = None,
    allowed: tuple[Range | None, Range | None] = (None, None),
) -> tuple[Estimate, float | None]:
    """The mean of paired differences with its interval, and the smallest detectable difference.

    Student's t by group, adjusted where few rows changed. The smallest detectable difference is the one
    that, with the same spread, a two-sided 5 % test finds with probability `POWER` (Bloom 1995, Evaluation
    Review 19(5): the minimum detectable effect).

    Args:
        before: finite rewards of the first run, at least one.
        after: those of the second run, for the same rows in the same order.
        groups: the name of each row's group; None if every row is a group.
        allowed: of both runs, the lowest and the highest possible value; None if unknown, which is 0 to 1
            for values that are all 0 or 1.
    """
    differences = apart(before, after)
    clustered = clusters(differences, groups)
    adjusted, count = _adjusted(clustered, differences), len(clustered.sums)
    error = standard_error(adjusted)
    if error is None or count < 2:
        return Estimate(clustered.mean, None, None, len(differences), count), None
    reach = error * t_quantile(len(adjusted.sums))
    low, high = adjusted.mean - reach, adjusted.mean + reach
    detectable = error * (t_quantile(count) + float(special().ndtri(POWER)))
    found = Estimate(clustered.mean, low, high, len(differences), count)
    possible = _apart_at_most(allowed[0] or _if_binary(before), allowed[1] or _if_binary(after))
    is_possible = possible is None or detectable <= max(map(abs, possible))
    return found.within(possible, differences), detectable if is_possible else None


def _if_binary(values: Floats) -> Range | None:
    """From 0 to 1 where all values are one of the two, as of passed and failed; None for others."""
    return (0.0, 1.0) if bool(np.isin(values, (0.0, 1.0)).all()) else None


def _apart_at_most(before: Range | None, after: Range | None) -> Range | None:
    """The lowest and the highest difference that there can be."""
    if before is None or after is None:
        return None
    return after[0] - before[1], after[1] - before[0]


def _adjusted(clustered: Clusters, differences: Floats) -> Clusters:
    """The clusters, with one up and one down added if few rows changed or all differences are 0 or ±1.

    A few changes say little about their spread, so an unadjusted interval would be too narrow. Source:
    Bonett and Price 2012, J. Educ. Behav. Stat. 37(4), for 0/1 rewards with one row per group. In general,
    the size of the added differences is the root mean square of the changes.
    """
    changed = clustered.sums[np.abs(clustered.sums) > ROUNDING]
    sparse = 2 * len(changed) <= len(clustered.sums)
    if not len(changed) or not (sparse or _whole_steps(differences)):
        return clustered
    step = root_mean_square(changed)
    size = clustered.sizes.mean()
    return Clusters(
        np.append(clustered.sums, (step, -step)), np.append(clustered.sizes, (size, size))
    )


def _whole_steps(differences: Floats) -> bool:
    return bool(np.isin(differences, (-1.0, 0.0, 1.0)).all())


def _no_difference(clustered: Clusters, differences: Floats) -> tuple[float, str]:
    """The p-value of no difference, by group, and the test that gave it."""
    sums = clustered.sums[np.abs(clustered.sums) > ROUNDING]
    if not len(sums):
        return 1.0, "no row differs"
    if clustered.single and _whole_steps(differences):
        return _mcnemar(int((sums > 0).sum()), int((sums < 0).sum())), "McNemar's exact test"
    if len(sums) <= EXACT_GROUPS:
        return _exact_signs(sums), "exact sign-flip test"
    if len(sums) <= SAMPLED_GROUPS:
        return _sampled_signs(sums), f"sign-flip test, {DRAWS:,} draws"
    z = math.sqrt(len(sums)) * abs(float(sums.mean())) / root_mean_square(sums)
    return 2 * float(special().ndtr(-z)), "sign-flip test, normal limit"


def _mcnemar(up: int, down: int) -> float:
    """McNemar's exact test: under no difference, changed rows are tosses of a fair coin.

    Source: McNemar 1947, Psychometrika 12(2); the exact form is that of `scipy.stats.binomtest`.
    """
    return min(1.0, 2 * float(special().bdtr(min(up, down), up + down, 0.5)))


def _exact_signs(sums: Floats) -> float:
    """Fisher's randomisation test: the share of all sign assignments whose sum is as far from 0.

    Source: Fisher, The Design of Experiments, 1935, section 21.
    """
    signs = np.arange(1 << len(sums))[:, None] >> np.arange(len(sums)) & 1
    return float(np.mean(_as_far((2.0 * signs - 1) @ sums, sums)))


def _sampled_signs(sums: Floats) -> float:
    """The same over sampled sign assignments and the given one; seeded, so the result is reproducible.

    Source: Phipson and Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9(1), for the added one.
    """
    random = np.random.default_rng(0)
    found, left = 0, DRAWS
    while left:
        block = min(left, max(1, _BLOCK_SIGNS // len(sums)))
        signs = random.integers(0, 2, (block, len(sums)), dtype=np.int8)
        found += int(_as_far((2.0 * signs - 1) @ sums, sums).sum())
        left -= block
    return (found + 1) / (DRAWS + 1)


def _as_far(totals: Floats, sums: Floats) -> NDArray[np.bool_]:
    """Whether each total is at least as far from 0 as the given sums', up to rounding."""
    return np.abs(totals) >= abs(float(sums.sum())) - ROUNDING * float(np.abs(sums).sum())
