"""Two results files over the same rows, held against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graders_engine.dataset.results.changes import Change, changes
from graders_engine.dataset.results.columns import STATUSES, Run
from graders_engine.dataset.results.line import ResultLine
from graders_engine.errors import DataSetError
from graders_engine.outcome import Status
from graders_engine.statistics.estimate import ROUNDING, Estimate, Ints
from graders_engine.statistics.paired import Paired, apart, estimate_difference, paired

TOP = 10
"""Rows of each kind that are shown unless told otherwise."""
SURE = 0.05
"""P-value under which a difference is shown, where the data give no interval."""
SCORED, INVALID, FAILED = range(len(STATUSES))


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One side of a comparison.

    Attributes:
        name: what it is called: the results file.
        rows: its rows.
        statuses: how many rows came to each status.
    """

    name: str
    rows: int
    statuses: dict[Status, int]


@dataclass(frozen=True, slots=True)
class PartChange:
    """One sub-reward, over the rows scored in both that have it in both.

    Attributes:
        before: its mean in the first run.
        after: its mean in the second.
        difference: the mean difference with its interval.
    """

    before: float
    after: float
    difference: Estimate


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row that came out otherwise: its result in the first run and in the second."""

    before: ResultLine
    after: ResultLine


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs over the same rows.

    Attributes:
        before: the first run.
        after: the second run.
        matched: rows that both have.
        only_before: rows that only the first has.
        only_after: rows that only the second has.
        unscored: of the matched rows that are not scored in both, how many came to what: "scored ->
            invalid" and the like.
        rewards: over the rows scored in both; None where there are none.
        served: over the rows that neither run failed on, the invalid ones at what the hosted API gives
            for them; None where no row is invalid.
        sub_rewards: by key of a multi.
        changed_most: the rows scored in both whose rewards differ most, the largest difference first.
        status_changes: the first rows that came to another status, up to as many.
        grader_changes: what differs in the graders.
        setting_changes: what else differs of what gave the results: engine, settings, model outputs.
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

        It is when the interval of the difference ends below that. Where the data give no interval (every
        row changed by the same), when the difference is below it and its p-value is under 5 %. The rows
        as served count, too: a model whose answers cannot be graded any more is worse.
        """
        return any(_below(found, -margin) for found in (self.rewards, self.served) if found)


def _below(found: Paired, limit: float) -> bool:
    if found.difference.high is not None:
        return found.difference.high < limit
    return found.difference.value < limit and found.p_value < SURE


def compare(before: Path, after: Path, *, top: int = TOP, force: bool = False) -> Comparison:
    """Hold two results files against each other, row by row.

    Args:
        before: the first one.
        after: the second one.
        top: rows of each kind that are kept.
        force: compare even if the files do not say that their rows are the same.

    Raises:
        DataSetError: a file cannot be used, or the rows are not the same ones.
    """
    first, second = Run(before), Run(after)
    if not force:
        _same_rows(first, second)
    here, there = first.matched(second)
    if not len(here):
        raise DataSetError(f"{before} and {after} have no row in common.")
    old, new = first.rewards[here], second.rewards[there]
    was, is_ = first.statuses[here], second.statuses[there]
    scored = (was == SCORED) & (is_ == SCORED) & ~np.isnan(old) & ~np.isnan(new)
    served = (was != FAILED) & (is_ != FAILED)
    groups = first.groups[here]

    def rows(places: Ints) -> tuple[RowChange, ...]:
        return tuple(
            RowChange(first.result(here[place]), second.result(there[place])) for place in places
        )

    distance = np.where(scored, np.abs(new - old), 0.0)
    most = np.argsort(-distance, kind="stable")[:top]
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
        dict(_parts(first, second, here[scored], there[scored])),
        rows(most[distance[most] > ROUNDING]),
        rows(np.flatnonzero(was != is_)[:top]),
        tuple(changes(first.meta.get("grader"), second.meta.get("grader"))),
        tuple(changes(_settings(first.meta), _settings(second.meta))),
    )


def _same_rows(first: Run, second: Run) -> None:
    """Refuse runs over other rows; other outputs for the same rows are what may be compared.

    Raises:
        DataSetError: with what differs.
    """
    for run in (first, second):
        if "data" not in run.meta:
            raise DataSetError(
                f"Nothing beside {run.path} says which data set gave it. "
                "Where the rows are the same, say --force."
            )
    found = [change.path for change in changes(_rows(first.meta), _rows(second.meta))]
    if found:
        raise DataSetError(
            f"{first.path} and {second.path} are of different data sets (other {' and '.join(found)}). "
            "Where the rows are the same and only the model's outputs differ, say --force."
        )


def _rows(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What a run says of its data set, but for where it was and whose outputs were joined to it."""
    return {key: value for key, value in meta["data"].items() if key not in ("path", "outputs")}


def _settings(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What gave a run besides the grader and the rows."""
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


def _parts(first: Run, second: Run, here: Ints, there: Ints) -> Iterator[tuple[str, PartChange]]:
    for key in first.keys:
        if key not in second.keys:
            continue
        old, new = first.sub_rewards(key)[here], second.sub_rewards(key)[there]
        both = ~(np.isnan(old) | np.isnan(new))
        old, new = old[both], new[both]
        if len(old):
            difference, _ = estimate_difference(apart(old, new), first.groups[here][both])
            yield key, PartChange(float(old.mean()), float(new.mean()), difference)
