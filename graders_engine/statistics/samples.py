"""Several samples per prompt: the reward of the best of k, and whether rewards differ within a group."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graders_engine.statistics.estimate import (
    Estimate,
    Floats,
    Ints,
    Range,
    estimate,
    estimate_chances,
    group_numbers,
)
from graders_engine.statistics.rounding import ROUNDING, slack


@dataclass(frozen=True, slots=True)
class Signal:
    """The share of groups of samples whose rewards differ.

    Attributes:
        share: the estimate; its `rows` are the prompts with several samples.
        size: samples of a group.
        smaller: how many of these prompts have fewer samples, and count as groups of those.
    """

    share: Estimate
    size: int
    smaller: int


def best_of(
    values: Floats, groups: NDArray[Any], k: int, allowed: Range | None = None
) -> Estimate | None:
    """The expected reward of the best of `k` samples of a prompt, unbiased; mean over the prompts.

    All choices of k of a prompt's n samples are equally likely: the i-th lowest is their best with
    probability C(i-1, k-1) / C(n, k). On 0/1 rewards this is pass@k as in Chen et al. 2021,
    arXiv:2107.03374.

    Args:
        values: finite rewards, one per sample.
        groups: the name of each sample's prompt.
        k: number of samples, at least 1.
        allowed: the lowest and the highest possible reward; None if unknown.

    Returns:
        The mean over the prompts with at least `k` samples; None if no prompt has that many.

    Raises:
        ValueError: `k` is below 1.
    """
    bests = _bests(values, groups, k)
    if bests is None:
        return None
    binary = bool(
        np.isin(values, (0.0, 1.0)).all()
    )  # then these are probabilities, as in `pass_at`
    if binary:
        return estimate_chances(bests, len(values) // k)
    return estimate(bests, allowed=allowed)


def pass_at(values: Floats, groups: NDArray[Any], k: int, passing: float = 1.0) -> Estimate | None:
    """pass@k: the probability that one of `k` samples of a prompt has a reward of at least `passing`.

    Args and Returns: as `best_of`.
    """
    passed = (values >= passing - slack(passing)).astype(np.float64)
    chances = _bests(passed, groups, k)
    return None if chances is None else estimate_chances(chances, len(values) // k)


def _bests(values: Floats, groups: NDArray[Any], k: int) -> Floats | None:
    """The expected best of `k` samples of each prompt that has as many; None if none has."""
    if k < 1:
        raise ValueError(f"k must be at least 1, but it is {k}")
    codes = group_numbers(groups)
    ordered = values[np.lexsort((values, codes))]
    sizes = np.bincount(codes)
    starts = np.cumsum(sizes) - sizes
    bests = [
        ordered[starts[sizes == size][:, None] + np.arange(size)] @ _chances(int(size), k)
        for size in np.unique(sizes[sizes >= k])
    ]
    return np.concatenate(bests) if bests else None


def _chances(size: int, k: int) -> Floats:
    """The probability of each of `size` samples, in rising order, of being the best of `k`."""
    chances = np.zeros(size)
    chance = k / size
    for place in range(size, k - 1, -1):
        chances[place - 1] = chance
        if place > k:
            chance *= (place - k) / (place - 1)
    return chances


def signal(values: Floats, groups: NDArray[Any], size: int) -> Signal | None:
    """How often a group of samples of one prompt has something to learn from: rewards that differ.

    Of a prompt with n samples, n_v of which have the reward v, `size` samples that are chosen at random do
    not all have the same reward with probability 1 - sum over v of C(n_v, size) / C(n, size). The mean of
    that over prompts does not depend on n, as the share of prompts whose n samples differ does; it is the
    unbiased estimate of the share of groups from which group-relative training (GRPO) learns.

    Args:
        values: finite rewards, one per sample; those that differ by rounding only are equal.
        groups: the name of each sample's prompt.
        size: samples of a group in training, at least 2. A prompt with fewer samples counts as a group of
            those that it has, which has a signal less often.

    Returns:
        The share among prompts with several samples; None if no prompt has several.

    Raises:
        ValueError: `size` is below 2.
    """
    if size < 2:
        raise ValueError(f"a group has at least 2 samples, but the size is {size}")
    codes = group_numbers(groups)
    order = np.lexsort((values, codes))
    codes, ordered = codes[order], values[order]
    sizes = np.bincount(codes)
    # A run is a stretch of samples of one prompt with equal rewards.
    starts = np.flatnonzero(
        np.concatenate(
            (
                [True],
                (np.diff(codes) > 0)
                | (np.diff(ordered) > ROUNDING * np.maximum(1.0, np.abs(ordered[1:]))),
            )
        )
    )
    runs, prompts = np.diff(np.append(starts, len(ordered))), codes[starts]
    pairs, which = np.unique(np.stack((runs, sizes[prompts])), axis=1, return_inverse=True)
    alike = np.array([_all_alike(int(run), int(n), min(size, int(n))) for run, n in pairs.T])
    chances = 1.0 - np.bincount(prompts, alike[which.ravel()], minlength=len(sizes))
    several = sizes > 1
    found = estimate_chances(np.clip(chances[several], 0.0, 1.0), len(values) // size)
    return Signal(found, size, int((sizes[several] < size).sum())) if found else None


def _all_alike(run: int, samples: int, size: int) -> float:
    """The probability that `size` of the samples are all of this run."""
    return math.comb(run, size) / math.comb(samples, size) if run >= size else 0.0


@dataclass(frozen=True, slots=True)
class PromptFigures:
    """The rewards of each prompt's samples, one value a prompt, in the order of the prompts' numbers.

    Attributes:
        sizes: how many rewards there are; what follows is NaN, or 0, where there are none.
        means: their mean.
        lowest: the lowest.
        highest: the highest.
        passing: how many pass.
    """

    sizes: Ints
    means: Floats
    lowest: Floats
    highest: Floats
    passing: Ints

    @property
    def no_variance(self) -> NDArray[np.bool_]:
        """Prompts with several samples whose rewards are equal, but for rounding."""
        slack_of = ROUNDING * np.maximum(1.0, np.abs(self.highest))
        return (self.sizes > 1) & (self.highest - self.lowest <= slack_of)


def prompt_figures(
    values: Floats, places: NDArray[np.integer[Any]], count: int, passing: float = 1.0
) -> PromptFigures:
    """The figures of each prompt.

    Args:
        values: finite rewards, one per sample.
        places: the number of each sample's prompt, from 0.
        count: how many prompts there are.
        passing: the lowest reward with which a sample passes.
    """
    sizes = np.bincount(places, minlength=count).astype(np.int64)
    some = sizes > 0
    ordered = values[np.lexsort((values, places))]
    ends = np.cumsum(sizes)
    lowest, highest, means = (np.full(count, np.nan) for _ in range(3))
    lowest[some] = ordered[(ends - sizes)[some]]
    highest[some] = ordered[ends[some] - 1]
    means[some] = np.bincount(places, values, minlength=count)[some] / sizes[some]
    passed = np.bincount(places[values >= passing - slack(passing)], minlength=count)
    return PromptFigures(sizes, means, lowest, highest, passed.astype(np.int64))
