"""The numbers of a report, computed from a digest: intervals, histograms, correlations, prompts, cost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from graders_engine.dataset.results.digest import Digest, Repeats
from graders_engine.models.policies import Price
from graders_engine.outcome import Usage
from graders_engine.report.histogram import Histogram, histogram
from graders_engine.statistics.correlation import pearson_matrix
from graders_engine.statistics.estimate import Estimate, Floats, Ints, estimate
from graders_engine.statistics.samples import best_of, pass_at, unvarying

BINS = 50
"""The largest number of bins in the histogram of the rewards."""
SMALL_BINS = 24
"""The largest number of bins in the histogram of a sub-reward."""
PARTS = 30
"""The largest number of sub-rewards in a report."""
CORRELATED = 10
"""The largest number of sub-rewards in the table of correlations."""
DATED = re.compile(r"-\d{4}(-?\d{2}-?\d{2})?")
"""The date that endpoints append to a model's name."""


@dataclass(frozen=True, slots=True)
class SubReward:
    """A part of a multi grader, over the scored rows that have it."""

    key: str
    mean: Estimate
    low: float
    high: float
    histogram: Histogram


@dataclass(frozen=True, slots=True)
class AtK:
    """What `k` samples of a prompt are expected to give.

    Attributes:
        k: the number of samples.
        passing: the probability that at least one of them passes.
        best: the expected reward of the best of them.
    """

    k: int
    passing: Estimate
    best: Estimate


@dataclass(frozen=True, slots=True)
class Groups:
    """Prompts with several samples.

    Attributes:
        count: prompts with a scored sample.
        sizes: the fewest and the most scored samples of a prompt.
        unvarying: the share of the prompts whose samples all have the same reward; None if each prompt
            has one scored sample.
        passing: the lowest reward with which a sample passes.
        at: the numbers for k = 1, 2, 4 and so on, up to the most samples.
    """

    count: int
    sizes: tuple[int, int]
    unvarying: Estimate | None
    passing: float
    at: tuple[AtK, ...]


@dataclass(frozen=True, slots=True)
class Spending:
    """One model's tokens and what they cost.

    Attributes:
        model: the name that its endpoint gave.
        usage: its tokens.
        cost: the cost at the prices that the run knew; None if it did not know the model's.
    """

    model: str
    usage: Usage
    cost: float | None


@dataclass(frozen=True, slots=True)
class Numbers:
    """Everything that a report says about a run in numbers.

    Attributes:
        digest: what the numbers were computed from.
        mean: the mean reward of the scored rows; None without scored rows.
        quantiles: the lowest reward, first quartile, median, third quartile and highest reward; empty
            without scored rows.
        histogram: the rewards; None without scored rows.
        sub_rewards: the parts of a multi grader, at most `PARTS`.
        correlations: by row of the matrix: the reward and the parts, each with each; empty if the grader
            is not a multi.
        groups: the prompts; None if no row is one of several samples.
        spending: tokens and cost by model.
    """

    digest: Digest
    mean: Estimate | None
    quantiles: tuple[float, ...]
    histogram: Histogram | None
    sub_rewards: tuple[SubReward, ...]
    correlations: tuple[tuple[str, tuple[float | None, ...]], ...]
    groups: Groups | None
    spending: tuple[Spending, ...]

    @property
    def repeated(self) -> dict[str, Repeats]:
        """By grader key: how far answers to the same row differ; only graders whose judge was asked again."""
        return {key: repeats for key, repeats in self.digest.repeats.items() if repeats.rows}

    @property
    def tokens(self) -> int:
        """The tokens of all models."""
        return sum(spent.usage.total_tokens for spent in self.spending)

    @property
    def cost(self) -> float | None:
        """The cost of the models whose prices are known; None if no price is known."""
        costs = [spent.cost for spent in self.spending if spent.cost is not None]
        return sum(costs) if costs else None


@np.errstate(over="ignore", invalid="ignore")  # a sum of huge rewards is infinite, which is said
def numbers_of(digest: Digest, meta: Mapping[str, Any], passing: float | None = None) -> Numbers:
    """Compute the numbers of a report.

    Args:
        digest: the run.
        meta: what produced it: the grader, which may say with which reward a sample passes, and the
            settings, which hold the prices of models.
        passing: the lowest reward with which a sample passes; by default the grader's `pass_threshold`,
            or 1 if it has none.
    """
    rewards = np.frombuffer(digest.rewards, dtype=np.float64)
    groups: Ints | None = np.frombuffer(digest.groups, dtype=np.int64) if digest.grouped else None
    columns = {key: _padded(column, len(rewards)) for key, column in digest.sub_rewards.items()}
    if passing is None:
        passing = meta.get("grader", {}).get("pass_threshold")
    return Numbers(
        digest,
        estimate(rewards, groups),
        tuple(np.quantile(rewards, (0, 0.25, 0.5, 0.75, 1)).tolist()) if len(rewards) else (),
        histogram(rewards, BINS),
        tuple(_sub_rewards(columns, groups)),
        _correlations(rewards, columns),
        None if groups is None else _groups(rewards, groups, 1.0 if passing is None else passing),
        tuple(_spending(digest.usage, meta.get("settings", {}).get("prices") or {})),
    )


def _padded(column: Any, length: int) -> Floats:
    """The column, filled up with NaN: it ends before the last rows if those lack the key."""
    padded = np.full(length, np.nan)
    padded[: len(column)] = column
    return padded


def _sub_rewards(columns: Mapping[str, Floats], groups: Ints | None) -> Iterator[SubReward]:
    for key, column in list(columns.items())[:PARTS]:
        present = ~np.isnan(column)
        values = column[present]
        mean = estimate(values, None if groups is None else groups[present])
        bars = histogram(values, SMALL_BINS, few_values=1)
        if mean and bars:
            yield SubReward(key, mean, float(values.min()), float(values.max()), bars)


def _correlations(
    rewards: Floats, columns: Mapping[str, Floats]
) -> tuple[tuple[str, tuple[float | None, ...]], ...]:
    if not columns or not len(rewards):
        return ()
    named = {"reward": rewards, **dict(list(columns.items())[:CORRELATED])}
    matrix = pearson_matrix(list(named.values()))
    return tuple((key, tuple(row)) for key, row in zip(named, matrix, strict=True))


def _groups(rewards: Floats, groups: Ints, passing: float) -> Groups:
    sizes = np.unique(groups, return_counts=True)[1]
    fewest, most = int(sizes.min()), int(sizes.max())
    at = []
    for k in (2**power for power in range(most.bit_length())):
        passed, best = pass_at(rewards, groups, k, passing), best_of(rewards, groups, k)
        if passed and best:
            at.append(AtK(k, passed, best))
    return Groups(len(sizes), (fewest, most), unvarying(rewards, groups), passing, tuple(at))


def _spending(usage: Mapping[str, Usage], prices: Mapping[str, Any]) -> Iterator[Spending]:
    for model, tokens in usage.items():
        price = next((prices[name] for name in prices if _is_version(model, name)), None)
        yield Spending(model, tokens, None if price is None else Price(**price).of(tokens))


def _is_version(model: str, name: str) -> bool:
    """Whether an endpoint's name for a model is this name, possibly followed by a date."""
    rest = model.removeprefix(name)
    return model.startswith(name) and (not rest or DATED.fullmatch(rest) is not None)
