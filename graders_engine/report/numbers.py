"""The numbers of a report, computed from a digest: intervals, histograms, correlations, prompts, cost."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from graders_engine.dataset.results.allowed import allowed_rewards
from graders_engine.dataset.results.digest import Digest, Repeats
from graders_engine.dataset.results.tally import Tally
from graders_engine.language.formula_range import Interval
from graders_engine.outcome import Usage
from graders_engine.report.histogram import BARS, Histogram, counts_of, histogram
from graders_engine.report.provenance import group_size_of, passing_of
from graders_engine.statistics.correlation import pearson_matrix
from graders_engine.statistics.estimate import Estimate, Floats, Ints, estimate, share
from graders_engine.statistics.rounding import slack
from graders_engine.statistics.samples import Signal, best_of, pass_at, signal

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
    """A part of a multi grader, over all rows that count in it (`ResultLine.counted_parts`)."""

    key: str
    mean: Estimate
    low: float
    high: float
    histogram: Histogram


@dataclass(frozen=True, slots=True)
class PassRate:
    """The share of the counted rows that pass.

    Attributes:
        passing: the lowest reward with which a row passes.
        rate: the share.
        highest: the highest reward of all; if it does not pass, nothing does.
    """

    passing: float
    rate: Estimate
    highest: float

    @property
    def none_passes(self) -> bool:
        """Whether no reward is high enough."""
        return self.highest < self.passing - slack(self.passing)


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
        count: prompts with a counted sample.
        sizes: the fewest and the most counted samples of a prompt.
        signal: the share of groups of samples whose rewards differ; None if each prompt has one sample.
        passing: the lowest reward with which a sample passes.
        highest: the highest reward of a sample; if it does not pass, none does.
        at: the numbers for k = 1, 2, 4 and so on, up to the most samples.
        group_by: the path of `--group-by`; None if the prompts are lists of samples.
        alone: prompts that consist of one line without a value at that path.
    """

    count: int
    sizes: tuple[int, int]
    signal: Signal | None
    passing: float
    highest: float
    at: tuple[AtK, ...]
    group_by: str | None
    alone: int

    @property
    def none_passes(self) -> bool:
        """Whether no sample has a reward that is high enough."""
        return self.highest < self.passing - slack(self.passing)


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
        mean: the mean reward of the counted rows (`ResultLine.counted`): what training would see of the
            model; None without any. What follows is of these rows, too, unless it says otherwise.
        quantiles: the lowest reward, first quartile, median, third quartile and highest reward; empty
            without any.
        pass_rate: the share that passes; None if neither the grader nor the caller says with which reward.
        histogram: the rewards; None without any.
        bars: the same with fewer bins, for a terminal.
        sub_rewards: the parts of a multi grader, at most `PARTS`.
        correlations: by row of the matrix: the reward and the parts, each with each; empty if the grader
            is not a multi. Each is over the rows in which both have a value: one malformed output, which
            counts as 0 in all parts, would look like agreement.
        groups: the prompts; None if no row is one of several samples.
        spending: tokens and cost by model.
    """

    digest: Digest
    mean: Estimate | None
    quantiles: tuple[float, ...]
    pass_rate: PassRate | None
    histogram: Histogram | None
    bars: Histogram | None
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
def numbers_of(
    digest: Digest,
    meta: Mapping[str, Any],
    passing: float | None = None,
    group_size: int | None = None,
) -> Numbers:
    """Compute the numbers of a report.

    Args:
        digest: the run.
        meta: what produced it: the grader, which may say with which reward a sample passes, and the
            settings, which hold the prices of models.
        passing: the lowest reward with which a sample passes; by default that of `meta`, or for pass@k
            1 if it has none.
        group_size: samples of a group in training, at least 2; by default that of `meta`.
    """
    all_rewards = np.frombuffer(digest.rewards, dtype=np.float64)
    all_groups = np.frombuffer(digest.groups, dtype=np.int64) if digest.grouped else None
    columns = {key: _padded(column, len(all_rewards)) for key, column in digest.sub_rewards.items()}
    counted = ~np.isnan(all_rewards)
    rewards = all_rewards[counted]
    groups: Ints | None = None if all_groups is None else all_groups[counted]
    counts = counts_of(rewards)
    allowed = allowed_rewards(meta)
    passing = passing_of(meta) if passing is None else passing
    group_size = group_size_of(meta) if group_size is None else group_size
    return Numbers(
        digest,
        estimate(rewards, groups, allowed.reward),
        tuple(np.quantile(rewards, (0, 0.25, 0.5, 0.75, 1)).tolist()) if len(rewards) else (),
        _pass_rate(rewards, groups, passing),
        histogram(counts, BINS),
        histogram(counts, BARS),
        tuple(_sub_rewards(_counted(columns, digest.served_parts), all_groups, allowed.parts)),
        _correlations(all_rewards, columns),
        _groups(
            rewards,
            groups,
            1.0 if passing is None else passing,
            group_size,
            meta.get("settings", {}).get("group_by"),
            allowed.reward,
        ),
        tuple(_spending(digest.usage, meta.get("settings", {}).get("prices") or {})),
    )


def pass_rate_of(tally: Tally, passing: float | None) -> PassRate | None:
    """The share of the counted rows that pass, of a run without groups whose `reward_counts` are known."""
    counts = tally.reward_counts
    if passing is None or not counts:
        return None
    passed = tally.passed(passing) or 0
    return PassRate(passing, share(passed, tally.counted), max(counts))


def _pass_rate(rewards: Floats, groups: Ints | None, passing: float | None) -> PassRate | None:
    if passing is None:
        return None
    rate = estimate((rewards >= passing - slack(passing)).astype(np.float64), groups)
    return PassRate(passing, rate, float(rewards.max())) if rate else None


def _padded(column: Any, length: int) -> Floats:
    """The column, filled up with NaN: it ends before the last rows if those lack the key."""
    padded = np.full(length, np.nan)
    padded[: len(column)] = column
    return padded


def _counted(
    columns: Mapping[str, Floats], served: Mapping[str, array[int]]
) -> Iterator[tuple[str, Floats]]:
    """What counts of each part, of the first parts."""
    for key, column in list(columns.items())[:PARTS]:
        counted = column
        if key in served:
            counted = column.copy()
            counted[np.frombuffer(served[key], dtype=np.int64)] = 0.0
        yield key, counted


def _sub_rewards(
    columns: Iterable[tuple[str, Floats]], groups: Ints | None, allowed: Mapping[str, Interval]
) -> Iterator[SubReward]:
    for key, column in columns:
        present = ~np.isnan(column)
        values = column[present]
        mean = estimate(values, None if groups is None else groups[present], allowed.get(key))
        bars = histogram(counts_of(values), SMALL_BINS, few_values=1)
        if mean and bars:
            yield SubReward(key, mean, float(values.min()), float(values.max()), bars)


def _correlations(
    rewards: Floats, columns: Mapping[str, Floats]
) -> tuple[tuple[str, tuple[float | None, ...]], ...]:
    if not columns or np.isnan(rewards).all():
        return ()
    named = {"reward": rewards, **dict(list(columns.items())[:CORRELATED])}
    matrix = pearson_matrix(list(named.values()))
    return tuple((key, tuple(row)) for key, row in zip(named, matrix, strict=True))


def _groups(
    rewards: Floats,
    groups: Ints | None,
    passing: float,
    group_size: int,
    group_by: str | None,
    allowed: Interval | None,
) -> Groups | None:
    if groups is None or not len(rewards):
        return None
    sizes = np.unique(groups, return_counts=True)[1]
    fewest, most = int(sizes.min()), int(sizes.max())
    at = []
    for k in (2**power for power in range(most.bit_length())):
        passed = pass_at(rewards, groups, k, passing)
        best = best_of(rewards, groups, k, allowed)
        if passed and best:
            at.append(AtK(k, passed, best))
    found = signal(rewards, groups, group_size)
    alone = 0 if group_by is None else len(np.unique(groups[groups < 0]))
    highest = float(rewards.max())
    return Groups(len(sizes), (fewest, most), found, passing, highest, tuple(at), group_by, alone)


def _spending(usage: Mapping[str, Usage], prices: Mapping[str, Any]) -> Iterator[Spending]:
    from graders_engine.models.policies import Price  # not above: a run without judges needs none

    for model, tokens in usage.items():
        price = next((prices[name] for name in prices if _is_version(model, name)), None)
        yield Spending(model, tokens, None if price is None else Price(**price).of(tokens))


def _is_version(model: str, name: str) -> bool:
    """Whether an endpoint's name for a model is this name, possibly followed by a date."""
    rest = model.removeprefix(name)
    return model.startswith(name) and (not rest or DATED.fullmatch(rest) is not None)
