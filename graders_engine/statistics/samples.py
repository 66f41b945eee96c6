"""Several samples per prompt: the reward of the best of k, and prompts without variation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graders_engine.statistics.estimate import ROUNDING, Estimate, Floats, estimate, group_numbers


def best_of(values: Floats, groups: NDArray[Any], k: int) -> Estimate | None:
    """The expected reward of the best of `k` samples of a prompt, unbiased; mean over the prompts.

    All choices of k of a prompt's n samples are equally likely: the i-th lowest is their best with
    probability C(i-1, k-1) / C(n, k). On 0/1 rewards this is pass@k as in Chen et al. 2021,
    arXiv:2107.03374.

    Args:
        values: finite rewards, one per sample.
        groups: the name of each sample's prompt.
        k: number of samples, at least 1.

    Returns:
        The mean over the prompts with at least `k` samples; None if no prompt has that many.

    Raises:
        ValueError: `k` is below 1.
    """
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
    return estimate(np.concatenate(bests)) if bests else None


def pass_at(values: Floats, groups: NDArray[Any], k: int, passing: float = 1.0) -> Estimate | None:
    """pass@k: the probability that one of `k` samples of a prompt has a reward of at least `passing`.

    Args and Returns: as `best_of`.
    """
    return best_of((values >= passing - ROUNDING).astype(np.float64), groups, k)


def _chances(size: int, k: int) -> Floats:
    """The probability of each of `size` samples, in rising order, of being the best of `k`."""
    chances = np.zeros(size)
    chance = k / size
    for place in range(size, k - 1, -1):
        chances[place - 1] = chance
        if place > k:
            chance *= (place - k) / (place - 1)
    return chances


def unvarying(values: Floats, groups: NDArray[Any]) -> Estimate | None:
    """Share of the prompts whose samples all have the same reward; training cannot learn from them.

    Returns:
        The share among prompts with several samples; None if no prompt has several.
    """
    codes = group_numbers(groups)
    sizes = np.bincount(codes)
    lowest, highest = np.full(len(sizes), np.inf), np.full(len(sizes), -np.inf)
    np.minimum.at(lowest, codes, values)
    np.maximum.at(highest, codes, values)
    several = sizes > 1
    same = highest[several] - lowest[several] <= ROUNDING
    return estimate(same.astype(np.float64)) if len(same) else None
