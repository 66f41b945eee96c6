"""Results files as columns of numbers, for comparing two of them."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from graders_engine.dataset.results.line import (
    ResultLine,
    column_of,
    decode_result,
    lines_of,
    results_in,
)
from graders_engine.dataset.results.meta import read_meta
from graders_engine.errors import DataSetError
from graders_engine.outcome import Status
from graders_engine.statistics.estimate import Floats, Ints

_MAX_POSITION = (1 << 63) - 1
STATUSES: tuple[Status, ...] = ("scored", "invalid", "failed")


@dataclass(slots=True)
class Columns:
    """A results file as columns of numbers, 41 bytes a row and 8 for each sub-reward.

    Attributes:
        lines: the rows' lines in the data set.
        samples: their numbers among the samples of their lines, from 1.
        groups: below zero for a named group, else the line.
        rewards: NaN for rows without a reward.
        statuses: indexes into `STATUSES`.
        sub_rewards: by key; NaN for rows without one. The column ends at the last row with the key.
        ends: the offset in the file of each row's end.
    """

    lines: array[int] = field(default_factory=lambda: array("q"))
    samples: array[int] = field(default_factory=lambda: array("q"))
    groups: array[int] = field(default_factory=lambda: array("q"))
    rewards: array[float] = field(default_factory=lambda: array("d"))
    statuses: array[int] = field(default_factory=lambda: array("b"))
    sub_rewards: dict[str, array[float]] = field(default_factory=dict)
    ends: array[int] = field(default_factory=lambda: array("q"))
    _group_numbers: dict[str, int] = field(default_factory=dict)

    def add(self, result: ResultLine, end: int) -> None:
        """Add one row."""
        before = len(self.lines)
        self.lines.append(result.line)
        self.samples.append(max(result.sample, 1))
        group = result.group
        self.groups.append(
            result.line
            if group is None
            else ~self._group_numbers.setdefault(group, len(self._group_numbers))
        )
        self.rewards.append(_nan_if_none(result.reward))
        self.statuses.append(STATUSES.index(result.status))
        self.ends.append(end)
        for key, value in result.sub_rewards.items():
            column = column_of(self.sub_rewards, key)
            column.extend([math.nan] * (before - len(column)))
            column.append(_nan_if_none(value))


def _nan_if_none(value: float | None) -> float:
    return math.nan if value is None else value


class RunColumns:
    """A results file, read once and kept as numbers.

    Attributes:
        meta: what gave the results; empty if that is not recorded.
        rewards: of each row; NaN for rows without a reward.
        statuses: of each row, its index in `STATUSES`.
        groups: of each row, a number that it shares with the other samples of its prompt.

    Raises:
        DataSetError: the file cannot be read, is not a results file, or has a row twice.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.meta = path, read_meta(path)
        columns = Columns()
        try:
            for end, result in results_in(lines_of(path)):
                columns.add(result, end)
        except OverflowError:
            raise DataSetError(f"{path} has a number that is too large for a line.") from None
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
        """The sub-rewards of one key, of each row; NaN for rows without one."""
        column = self._columns.sub_rewards[key]
        padded = np.full(len(self.rewards), np.nan)
        padded[: len(column)] = column
        return padded

    def matched(self, other: RunColumns) -> tuple[Ints, Ints]:
        """The indexes of the rows that both runs have, in this run and in the other.

        Raises:
            DataSetError: a run has two results for a row.
        """
        spread = 1 + max(int(run._samples.max(initial=0)) for run in (self, other))
        last = max(int(run._lines.max(initial=0)) for run in (self, other))
        if spread * (last + 1) > _MAX_POSITION:
            raise DataSetError(
                f"{self.path} or {other.path} has a line or sample of too large a number."
            )
        here, there = (run._lines * spread + run._samples for run in (self, other))
        for run, rows in ((self, here), (other, there)):
            repeated = np.flatnonzero(np.diff(np.sort(rows)) == 0)
            if len(repeated):
                line = int(np.sort(rows)[repeated[0]] // spread)
                raise DataSetError(f"{run.path} has two results for line {line} of its data set.")
        _, in_here, in_there = np.intersect1d(here, there, assume_unique=True, return_indices=True)
        return in_here, in_there

    def result(self, index: int) -> ResultLine:
        """The whole result of a row, read again from the file."""
        start = self._columns.ends[index - 1] if index else 0
        with lines_of(self.path).open("rb") as file:
            file.seek(start)
            return decode_result(file.read(self._columns.ends[index] - start))

    def counts(self) -> dict[Status, int]:
        """How many rows have each status."""
        counts = np.bincount(self.statuses, minlength=len(STATUSES)).tolist()
        return dict(zip(STATUSES, counts, strict=True))
