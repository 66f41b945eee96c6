"""Results files as columns of numbers: what it takes to hold two of them against each other."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from graders_engine.dataset.results.digest import lines_of, read_meta
from graders_engine.dataset.results.line import ResultLine, decoded, results_in
from graders_engine.errors import DataSetError
from graders_engine.outcome import Status
from graders_engine.statistics.estimate import Floats, Ints

STATUSES: tuple[Status, ...] = ("scored", "invalid", "failed")


@dataclass(slots=True)
class Columns:
    """A results file as columns of numbers, 41 bytes a row and 8 for each sub-reward.

    Attributes:
        lines: the rows' lines in the data set.
        samples: their places among the samples of their lines.
        groups: below zero for a named group, else the line.
        rewards: NaN where there is none.
        statuses: places in `STATUSES`.
        sub_rewards: by key; NaN where there is none. Of rows behind the last with the key, nothing.
        ends: the bytes of the file up to each row's end.
    """

    lines: array[int] = field(default_factory=lambda: array("q"))
    samples: array[int] = field(default_factory=lambda: array("q"))
    groups: array[int] = field(default_factory=lambda: array("q"))
    rewards: array[float] = field(default_factory=lambda: array("d"))
    statuses: array[int] = field(default_factory=lambda: array("b"))
    sub_rewards: dict[str, array[float]] = field(default_factory=dict)
    ends: array[int] = field(default_factory=lambda: array("q"))
    _names: dict[str, int] = field(default_factory=dict)

    def add(self, result: ResultLine, end: int) -> None:
        """Take in one row."""
        before = len(self.lines)
        self.lines.append(result.line)
        self.samples.append(result.sample)
        group = result.group
        self.groups.append(
            result.line if group is None else ~self._names.setdefault(group, len(self._names))
        )
        self.rewards.append(_number(result.reward))
        self.statuses.append(STATUSES.index(result.status))
        self.ends.append(end)
        for key, value in result.sub_rewards.items():
            column = self.sub_rewards.setdefault(key, array("d"))
            column.extend([math.nan] * (before - len(column)))
            column.append(_number(value))


def _number(value: float | None) -> float:
    return math.nan if value is None else value


class Run:
    """A results file, read once and kept as numbers.

    Attributes:
        path: the file.
        meta: what gave it; empty when that is not known.
        rewards: of each row; NaN where there is none.
        statuses: of each row, its place in `STATUSES`.
        groups: of each row, a number that it shares with the other samples of its prompt.

    Raises:
        DataSetError: the file cannot be read, is not one of results, or has a row twice.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.meta = path, read_meta(path)
        columns = Columns()
        for end, result in results_in(lines_of(path)):
            columns.add(result, end)
        self._columns = columns
        self.rewards = np.frombuffer(columns.rewards, dtype=np.float64)
        self.statuses = np.frombuffer(columns.statuses, dtype=np.int8)
        self.groups = np.frombuffer(columns.groups, dtype=np.int64)
        self._lines = np.frombuffer(columns.lines, dtype=np.int64)
        self._samples = np.frombuffer(columns.samples, dtype=np.int64)

    @property
    def keys(self) -> list[str]:
        """The keys of the sub-rewards."""
        return list(self._columns.sub_rewards)

    def sub_rewards(self, key: str) -> Floats:
        """Of each row; NaN where there is none."""
        column = self._columns.sub_rewards[key]
        padded = np.full(len(self.rewards), np.nan)
        padded[: len(column)] = column
        return padded

    def matched(self, other: Run) -> tuple[Ints, Ints]:
        """The places of the rows that both have, in this run and in the other."""
        spread = 1 + max(int(run._samples.max(initial=0)) for run in (self, other))
        mine, theirs = (run._lines * spread + run._samples for run in (self, other))
        for run, names in ((self, mine), (other, theirs)):
            twice = np.flatnonzero(np.diff(np.sort(names)) == 0)
            if len(twice):
                line = int(np.sort(names)[twice[0]] // spread)
                raise DataSetError(f"{run.path} has two results for line {line} of its data set.")
        _, here, there = np.intersect1d(mine, theirs, assume_unique=True, return_indices=True)
        return here, there

    def result(self, place: int) -> ResultLine:
        """The whole result at a place, read again."""
        start = self._columns.ends[place - 1] if place else 0
        with lines_of(self.path).open("rb") as file:
            file.seek(start)
            return decoded(file.read(self._columns.ends[place] - start))

    def counts(self) -> dict[Status, int]:
        """How many rows came to each status."""
        counts = np.bincount(self.statuses, minlength=len(STATUSES)).tolist()
        return dict(zip(STATUSES, counts, strict=True))
