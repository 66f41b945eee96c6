"""Compare two results files over the same rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graders_engine.dataset.results.changes import Change, changes
from graders_engine.dataset.results.columns import STATUSES, RunColumns
from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.results.meta import DATA_CHANGED
from graders_engine.errors import DataSetError
from graders_engine.outcome import Status
from graders_engine.statistics.estimate import Estimate, Ints
from graders_engine.statistics.paired import Paired, apart, estimate_difference, paired
from graders_engine.statistics.rounding import ROUNDING

TOP = 10
"""Rows of each kind that are kept by default."""
SIGNIFICANT = 0.05
"""P-value under which a difference counts as shown, if the data give no interval."""
SCORED, FAILED = STATUSES.index("scored"), STATUSES.index("failed")


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One side of a comparison.

    Attributes:
        name: the results file.
        rows: how many rows it has.
        statuses: how many rows have each status.
    """

    name: str
    rows: int
    statuses: dict[Status, int]


@dataclass(frozen=True, slots=True)
class PartChange:
    """One sub-reward, over the rows scored in both that have it in both.

    Attributes:
        before: its mean in the first run.
        after: its mean in the second run.
        difference: the mean difference, with its interval.
    """

    before: float
    after: float
    difference: Estimate


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
        matched: rows that both runs have.
        only_before: rows that only the first run has.
        only_after: rows that only the second run has.
        unscored: of the matched rows that are not scored in both, how many have which statuses, such as
            "scored -> invalid".
        rewards: over the rows scored in both; None without any.
        served: over the rows that failed in neither run, the invalid ones with the reward that the hosted
            API serves for them; None if no row is invalid.
        sub_rewards: by key of a multi.
        changed_most: the rows scored in both whose rewards differ most, the largest difference first.
        status_changes: the first rows whose status differs, at most as many.
        grader_changes: the differences of the graders.
        setting_changes: the other differences of the runs: engine, settings, model outputs.
    """

    before: RunFacts
    after: RunFacts
    matched: int
    only_before: int
    only_after: int
    unscored: dict[str, int]
    rewards: Paired | None
    served: Paired | None
    sub_rewards: dict[str, PartChange]
    changed_most: tuple[RowChange, ...]
    status_changes: tuple[RowChange, ...]
    grader_changes: tuple[Change, ...]
    setting_changes: tuple[Change, ...]

    def worse(self, margin: float = 0.0) -> bool:
        """Whether the second run is shown to be worse by more than `margin`.

        That is so if the interval of the difference ends below `-margin`; or, if the data give no interval
        (every row changed by the same amount), if the difference is below `-margin` and its p-value under
        5 %. The rows as served count, too: a model whose answers can no longer be graded is worse.
        """
        return any(_below(found, -margin) for found in (self.rewards, self.served) if found)


def _below(found: Paired, limit: float) -> bool:
    if found.difference.high is not None:
        return found.difference.high < limit
    return found.difference.value < limit and found.p_value < SIGNIFICANT


@np.errstate(over="ignore", invalid="ignore")  # a sum of huge rewards is infinite, which is said
def compare(before: Path, after: Path, *, top: int = TOP, force: bool = False) -> Comparison:
    """Compare two results files row by row.

    Args:
        before: the first file.
        after: the second file.
        top: how many rows of each kind to keep.
        force: compare even if it is not recorded that the rows are the same.

    Raises:
        DataSetError: a file cannot be used, or the rows are not the same.
    """
    first, second = RunColumns(before), RunColumns(after)
    if not force:
        _require_same_rows(first, second)
    here, there = first.matched(second)
    if not len(here):
        raise DataSetError(f"{before} and {after} have no row in common.")
    old, new = first.rewards[here], second.rewards[there]
    was, is_ = first.statuses[here], second.statuses[there]
    scored = (was == SCORED) & (is_ == SCORED) & ~np.isnan(old) & ~np.isnan(new)
    served = (was != FAILED) & (is_ != FAILED)
    groups = first.groups[here]

    def rows(indexes: Ints) -> tuple[RowChange, ...]:
        return tuple(
            RowChange(first.result(here[index]), second.result(there[index])) for index in indexes
        )

    distance = np.where(scored, np.abs(new - old), 0.0)
    farthest = np.argsort(-distance, kind="stable")[:top]
    return Comparison(
        RunFacts(str(before), len(first.rewards), first.counts()),
        RunFacts(str(after), len(second.rewards), second.counts()),
        len(here),
        len(first.rewards) - len(here),
        len(second.rewards) - len(here),
        _unscored(was[~scored], is_[~scored]),
        paired(old[scored], new[scored], groups[scored]),
        paired(np.nan_to_num(old[served]), np.nan_to_num(new[served]), groups[served])
        if (scored != served).any()
        else None,
        dict(_sub_reward_changes(first, second, here[scored], there[scored])),
        rows(farthest[distance[farthest] > ROUNDING]),
        rows(np.flatnonzero(was != is_)[:top]),
        tuple(changes(first.meta.get("grader"), second.meta.get("grader"))),
        tuple(changes(_other_facts(first.meta), _other_facts(second.meta))),
    )


def _require_same_rows(first: RunColumns, second: RunColumns) -> None:
    """Refuse runs over different rows; different outputs for the same rows may be compared.

    Raises:
        DataSetError: says what differs.
    """
    for run in (first, second):
        if "data" not in run.meta:
            raise DataSetError(
                f"The data set of {run.path} is not recorded. "
                "If the rows are the same, pass --force."
            )
        if change := run.meta.get(DATA_CHANGED):
            raise DataSetError(f"{run.path} has not the results of one data set. {change}")
    found = [change.path for change in changes(_data_facts(first.meta), _data_facts(second.meta))]
    if found:
        raise DataSetError(
            f"{first.path} and {second.path} are of different data sets (other {' and '.join(found)}). "
            "If the rows are the same and only the model's outputs differ, pass --force."
        )


def _data_facts(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What is recorded of a run's data set, except its path and the outputs joined with it."""
    return {key: value for key, value in meta["data"].items() if key not in ("path", "outputs")}


def _other_facts(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What is recorded of a run apart from the grader and the rows."""
    return {
        "engine": meta.get("engine"),
        "outputs": meta.get("data", {}).get("outputs"),
        **meta.get("settings", {}),
    }


def _unscored(was: Ints, is_: Ints) -> dict[str, int]:
    pairs = Counter(zip(was.tolist(), is_.tolist(), strict=True))
    return {
        f"{STATUSES[one]} -> {STATUSES[other]}": rows for (one, other), rows in pairs.most_common()
    }


def _sub_reward_changes(
    first: RunColumns, second: RunColumns, here: Ints, there: Ints
) -> Iterator[tuple[str, PartChange]]:
    for key in first.keys:
        if key not in second.keys:
            continue
        old, new = first.sub_rewards(key)[here], second.sub_rewards(key)[there]
        both = ~(np.isnan(old) | np.isnan(new))
        old, new = old[both], new[both]
        if len(old):
            difference, _ = estimate_difference(apart(old, new), first.groups[here][both])
            yield key, PartChange(float(old.mean()), float(new.mean()), difference)
