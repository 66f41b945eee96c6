"""The numbers of a report, from a digest: intervals, histograms, correlations, groups, cost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from graders_engine.dataset.results.digest import Digest
from graders_engine.models.policies import Price
from graders_engine.outcome import Usage
from graders_engine.report.histogram import Histogram, histogram
from graders_engine.statistics.correlation import pearson_matrix
from graders_engine.statistics.estimate import Estimate, Floats, Ints, estimate
from graders_engine.statistics.samples import best_of, pass_at, unvarying

BINS = 50
"""Bins of the rewards' histogram, at most."""
SMALL_BINS = 24
"""Bins of a sub-reward's histogram, at most."""
PARTS = 30
"""Sub-rewards that are shown."""
CORRELATED = 10
"""Sub-rewards in the table of correlations."""
DATED = re.compile(r"-\d{4}(-?\d{2}-?\d{2})?")
"""What endpoints put behind a model's name: the day it is of."""


@dataclass(frozen=True, slots=True)
class SubReward:
    """A part of a multi, over the scored rows.

    Attributes:
        key: the part's key.
        mean: its mean.
        low: its lowest value.
        high: its highest.
        histogram: all of them.
    """

    key: str
    mean: Estimate
    low: float
    high: float
    histogram: Histogram


@dataclass(frozen=True, slots=True)
class AtK:
    """What `k` samples of a prompt would get.

    Attributes:
        k: how many.
        passing: the chance that one of them passes.
        best: the reward expected of the best of them.
    """

    k: int
    passing: Estimate
    best: Estimate


@dataclass(frozen=True, slots=True)
class Groups:
    """Several samples of a prompt.

    Attributes:
        count: prompts with a scored sample.
        sizes: fewest and most scored samples of one prompt.
        unvarying: share of the prompts whose samples all have the same reward; None where each prompt
            has one scored sample.
        passing: the reward from which on a sample passes.
        at: for one sample, two, four, and so on.
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
        model: as its endpoint calls it.
        usage: its tokens.
        cost: at the prices that the run knew; None where it knew none.
    """

    model: str
    usage: Usage
    cost: float | None


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a run came to.

    Attributes:
        digest: what they were computed from.
        mean: mean reward of the scored rows; None without any.
        quantiles: of the rewards: lowest, quarter, median, three quarters, highest; empty without any.
        histogram: the rewards; None without any.
        sub_rewards: the parts of a multi, at most `PARTS`.
        correlations: the reward and the parts, each with each; empty for a single grader.
        groups: None where each prompt has one sample.
        spending: by model.
    """

    digest: Digest
    mean: Estimate | None
    quantiles: tuple[float, ...]
    histogram: Histogram | None
    sub_rewards: tuple[SubReward, ...]
    correlations: tuple[tuple[str, tuple[float | None, ...]], ...]
    groups: Groups | None
    spending: tuple[Spending, ...]


def numbers_of(digest: Digest, meta: Mapping[str, Any], passing: float | None = None) -> Numbers:
    """Compute a report's numbers.

    Args:
        digest: the run.
        meta: what gave it: the grader may say from which reward on a sample passes, and the settings
            what models cost.
        passing: the reward from which on a sample passes; the grader's `pass_threshold`, or else 1, when
            left out.
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
    """The column with NaN where its last rows lack the key."""
    padded = np.full(length, np.nan)
    padded[: len(column)] = column
    return padded


def _sub_rewards(columns: Mapping[str, Floats], groups: Ints | None) -> Iterator[SubReward]:
    for key, column in list(columns.items())[:PARTS]:
        there = ~np.isnan(column)
        values = column[there]
        mean = estimate(values, None if groups is None else groups[there])
        shown = histogram(values, SMALL_BINS, few_values=1)
        if mean and shown:
            yield SubReward(key, mean, float(values.min()), float(values.max()), shown)


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
    most = int(sizes.max())
    at = []
    for k in (2**power for power in range(most.bit_length())):
        passed, best = pass_at(rewards, groups, k, passing), best_of(rewards, groups, k)
        if passed and best:
            at.append(AtK(k, passed, best))
    fewest = int(sizes.min())
    return Groups(len(sizes), (fewest, most), unvarying(rewards, groups), passing, tuple(at))


def _spending(usage: Mapping[str, Usage], prices: Mapping[str, Any]) -> Iterator[Spending]:
    for model, tokens in usage.items():
        price = next((prices[name] for name in prices if _is_of(model, name)), None)
        yield Spending(model, tokens, None if price is None else Price(**price).of(tokens))


def _is_of(model: str, name: str) -> bool:
    """Whether an endpoint's name for a model is this one, perhaps with its day behind it."""
    rest = model.removeprefix(name)
    return model.startswith(name) and (not rest or DATED.fullmatch(rest) is not None)
