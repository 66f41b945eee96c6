"""Compare two results files over the same rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graders_engine.dataset.results.allowed import Allowed, allowed_rewards
from graders_engine.dataset.results.changes import Change, changes
from graders_engine.dataset.results.columns import STANDINGS, STATUSES, RunColumns
from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.results.meta import METRICS_CORE, is_complete
from graders_engine.dataset.results.pairing import Pairing, pair_rows
from graders_engine.dataset.results.same_data import Sources
from graders_engine.graders.static_range import Interval
from graders_engine.outcome import Blame, Status
from graders_engine.statistics.estimate import Estimate, Floats, Ints, estimate
from graders_engine.statistics.paired import Paired, apart, estimate_difference, paired

TOP = 10
"""Rows of each kind that are kept by default."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One side of a comparison: the same numbers as in a report of the run.

    Attributes:
        name: the results file.
        rows: how many rows it has.
        statuses: how many rows have each status.
        blames: of the rows that are not scored, how many have each blame; without those that none has.
        mean: what training would see of the model: over the scored rows, and at what is served over those
            that are invalid by their sample or by the grader; None without any.
        scored_mean: over the scored rows alone; None without any.
        hosted_mean: over all but the failed rows, as the hosted service would print it; None without any.
        complete: whether all rows of the data set have a result; None if that is not recorded.
        metrics_core: which core computed the text metrics, `compiled` or `pure`, whose values are equal; None
            if that is not recorded.
    """

    name: str
    rows: int
    statuses: dict[Status, int]
    blames: dict[Blame, int]
    mean: Estimate | None
    scored_mean: Estimate | None
    hosted_mean: Estimate | None
    complete: bool | None = None
    metrics_core: str | None = None


@dataclass(frozen=True, slots=True)
class PromptsPaired:
    """The prompts whose means are compared, because their samples have no partners of their own.

    Attributes:
        matched: prompts that both runs have.
        before: the fewest and the most samples that one of these has in the first run.
        after: the same in the second run.
    """

    matched: int
    before: tuple[int, int]
    after: tuple[int, int]


@dataclass(frozen=True, slots=True)
class RowsPaired:
    """How the rows of the runs were paired.

    Attributes:
        by: "line" (of one data set), "item" (equal items), or the path to the value that the rows of a pair
            share.
        matched: pairs of rows.
        only_before: rows of the first run without a partner, or whose prompt the second lacks.
        only_after: rows of the second run without a partner, or whose prompt the first lacks.
        other_items: pairs whose items differ; None if the items were not read.
        unchecked: why nothing shows that the rows of a pair are the same; empty if something does.
        prompts: the prompts, if several samples of one have the same key; the differences are then of their
            means. Their rows are paired by their ranks in what counts of them, to be listed.
    """

    by: str
    matched: int
    only_before: int
    only_after: int
    other_items: int | None
    unchecked: str
    prompts: PromptsPaired | None = None


@dataclass(frozen=True, slots=True)
class PartChange:
    """One sub-reward.

    Attributes:
        before: its mean in the first run, over all rows that count in it; None without any.
        after: its mean in the second run.
        difference: the mean difference over the pairs that count in both means; None without any.
    """

    before: Estimate | None
    after: Estimate | None
    difference: Estimate | None


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row whose results differ: the one of the first run, and the one of the second."""

    before: ResultLine
    after: ResultLine


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs over the same rows.

    Attributes:
        before: the first run.
        after: the second run.
        pairs: how the rows were paired, and how many have no partner.
        moved: of the pairs whose status or blame differs, how many have which, such as "scored -> invalid by
            sample".
        left_out: of the pairs that do not count in the mean of both runs, how many have which statuses.
        difference: of the means, over the pairs that count in both; None without any. If prompts were paired,
            it is over the prompts that have such samples in both, by the mean of these in each.
        scored: the same over the pairs that are scored in both.
        sub_rewards: by key of a multi.
        changed_most: the rows scored in both whose rewards differ most, the largest difference first.
        status_changes: the first rows whose status or blame differs, at most as many.
        grader_changes: the differences of the graders.
        setting_changes: the other differences of the runs: engine, settings, model outputs.
    """

    before: RunFacts
    after: RunFacts
    pairs: RowsPaired
    moved: dict[str, int]
    left_out: dict[str, int]
    difference: Paired | None
    scored: Paired | None
    sub_rewards: dict[str, PartChange]
    changed_most: tuple[RowChange, ...]
    status_changes: tuple[RowChange, ...]
    grader_changes: tuple[Change, ...]
    setting_changes: tuple[Change, ...]


def compare(
    before: Path, after: Path, *, top: int = TOP, sources: Sources | None = None
) -> Comparison:
    """Compare two results files row by row.

    Args:
        before: the first file.
        after: the second file.
        top: how many rows of each kind to keep.
        sources: where the data sets are, and how to pair the rows; by default, where they were, and by what
            they have in common.

    Raises:
        DataSetError: a file cannot be used, or the rows are not the same.
        InvalidRequest: no row has a value at the path by which rows are to be paired.
    """
    first, second = RunColumns(before), RunColumns(after)
    return compare_pairs(first, second, pair_rows(first, second, sources or Sources()), top=top)


@np.errstate(over="ignore", invalid="ignore")  # a sum of huge rewards is infinite, which is said
def compare_pairs(
    first: RunColumns, second: RunColumns, pairing: Pairing, *, top: int = TOP
) -> Comparison:
    """Compare two runs whose rows are paired.

    Args:
        first: the first run.
        second: the second run.
        pairing: their pairs, as `pair_rows` gives them.
        top: how many rows of each kind to keep.
    """
    here, there = pairing.before, pairing.after
    was, is_ = first.standings[here], second.standings[there]
    old, new = first.rewards[here], second.rewards[there]

    def rows(indexes: Ints) -> tuple[RowChange, ...]:
        return tuple(
            RowChange(first.result(here[index]), second.result(there[index])) for index in indexes
        )

    distance = np.nan_to_num(np.abs(apart(old, new)), nan=0.0, posinf=np.inf)
    farthest = np.argsort(-distance, kind="stable")[:top]
    values = _PairedValues(pairing)
    allowed = allowed_rewards(first.meta), allowed_rewards(second.meta)
    counted = values.of(first.counted, second.counted)
    out = values.of_rows(np.isnan(counted[0]) | np.isnan(counted[1]))
    return Comparison(
        _facts(first, allowed[0].reward),
        _facts(second, allowed[1].reward),
        _rows_paired(first, second, pairing),
        _statuses(was[was != is_], is_[was != is_]),
        _statuses(was[out], is_[out]),
        _paired(*counted, values.groups, allowed),
        _paired(*values.of(first.rewards, second.rewards), values.groups, allowed),
        dict(_sub_reward_changes(first, second, values, allowed)),
        rows(farthest[distance[farthest] > 0]),
        rows(np.flatnonzero(was != is_)[:top]),
        tuple(changes(first.meta.get("grader"), second.meta.get("grader"))),
        tuple(changes(_other_facts(first.meta), _other_facts(second.meta))),
    )


def _rows_paired(first: RunColumns, second: RunColumns, pairing: Pairing) -> RowsPaired:
    prompts, matched = pairing.prompts, len(pairing.before)
    only = len(first.lines) - matched, len(second.lines) - matched
    compared = None
    if prompts is not None:
        sides = prompts.before, prompts.after
        only = int((sides[0] < 0).sum()), int((sides[1] < 0).sum())
        samples = [np.bincount(side[side >= 0]) for side in sides]
        spans = [(int(counts.min()), int(counts.max())) for counts in samples]
        compared = PromptsPaired(len(prompts.groups), *spans)
    return RowsPaired(pairing.by, matched, *only, pairing.other_items, pairing.unchecked, compared)


class _PairedValues:
    """The values of two runs, pair by pair: of rows, or of prompts by the mean of their samples.

    Attributes:
        groups: of each pair, as `Pairing.groups`.
    """

    def __init__(self, pairing: Pairing) -> None:
        self._rows, self._prompts = pairing, pairing.prompts
        self.groups = pairing.groups if pairing.prompts is None else pairing.prompts.groups

    def of(self, before: Floats, after: Floats) -> tuple[Floats, Floats]:
        """The values of each pair, from those of each row of both runs; NaN for a pair without one."""
        if self._prompts is None:
            return before[self._rows.before], after[self._rows.after]
        count = len(self._prompts.groups)
        return (
            _means(before, self._prompts.before, count),
            _means(after, self._prompts.after, count),
        )

    def of_rows(self, pairs: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """What is so of each pair of rows, from what is so of each pair."""
        if self._prompts is None:
            return pairs
        return pairs[self._prompts.before[self._rows.before]]


def _means(values: Floats, prompts: Ints, count: int) -> Floats:
    """The mean of each prompt over its rows that have a value; NaN without any."""
    known = ~np.isnan(values) & (prompts >= 0)
    sums = np.bincount(prompts[known], values[known], minlength=count)
    rows = np.bincount(prompts[known], minlength=count)
    return np.where(rows > 0, sums / np.maximum(rows, 1), np.nan)


def _facts(run: RunColumns, allowed: Interval | None) -> RunFacts:
    statuses: dict[Status, int] = dict.fromkeys(STATUSES, 0)
    blames: dict[Blame, int] = {}
    for (status, blame), count in run.counts().items():
        statuses[status] += count
        if blame is not None:
            blames[blame] = count
    return RunFacts(
        str(run.path),
        len(run.lines),
        statuses,
        blames,
        _mean(run.counted, run.groups, allowed),
        _mean(run.rewards, run.groups, allowed),
        _mean(run.hosted, run.groups, allowed),
        is_complete(run.meta),
        run.meta.get(METRICS_CORE),
    )


def _mean(values: Floats, groups: Ints, allowed: Interval | None) -> Estimate | None:
    """The mean over the rows that have a value."""
    known = ~np.isnan(values)
    return estimate(values[known], groups[known], allowed)


def _paired(
    old: Floats, new: Floats, groups: Ints, allowed: tuple[Allowed, Allowed]
) -> Paired | None:
    both = ~(np.isnan(old) | np.isnan(new))
    ranges = allowed[0].reward, allowed[1].reward
    return paired(old[both], new[both], groups[both], ranges)


def _statuses(was: NDArray[np.int8], is_: NDArray[np.int8]) -> dict[str, int]:
    """How many pairs have which statuses, the most frequent first."""
    names = [
        status if blame is None or status == "failed" else f"{status} by {blame}"
        for status, blame in STANDINGS
    ]
    pairs = Counter(zip(was.tolist(), is_.tolist(), strict=True))
    return {f"{names[one]} -> {names[other]}": rows for (one, other), rows in pairs.most_common()}


def _other_facts(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What is recorded of a run apart from the grader and the rows."""
    return {
        "engine": meta.get("engine"),
        "outputs": meta.get("data", {}).get("outputs"),
        **meta.get("settings", {}),
    }


def _sub_reward_changes(
    first: RunColumns,
    second: RunColumns,
    values: _PairedValues,
    allowed: tuple[Allowed, Allowed],
) -> Iterator[tuple[str, PartChange]]:
    for key in dict.fromkeys((*first.keys, *second.keys)):
        before, after = first.counted_parts(key), second.counted_parts(key)
        ranges = allowed[0].parts.get(key), allowed[1].parts.get(key)
        old, new = values.of(before, after)
        both = ~(np.isnan(old) | np.isnan(new))
        difference = None
        if both.any():
            difference, _ = estimate_difference(old[both], new[both], values.groups[both], ranges)
        yield (
            key,
            PartChange(
                _mean(before, first.groups, ranges[0]),
                _mean(after, second.groups, ranges[1]),
                difference,
            ),
        )
