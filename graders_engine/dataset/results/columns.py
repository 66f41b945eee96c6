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
from graders_engine.outcome import BLAMES, Blame, Status
from graders_engine.statistics.estimate import Floats, Ints

_MAX_POSITION = (1 << 63) - 1
STATUSES: tuple[Status, ...] = ("scored", "invalid", "failed")
STANDINGS: tuple[tuple[Status, Blame | None], ...] = (
    ("scored", None),
    *(("failed" if blame == "infrastructure" else "invalid", blame) for blame in BLAMES),
)
"""Every status with every blame that it may have."""


@dataclass(slots=True)
class Columns:
    """A results file as columns of numbers, 57 bytes a row and 8 for each sub-reward.

    Attributes:
        lines: the rows' lines in the data set.
        samples: their numbers among the samples of their lines, from 1.
        groups: below zero for a named group, else the line.
        rewards: of the scored rows; NaN for others.
        counted: what counts in the mean (`ResultLine.counted`); NaN for rows in no mean.
        hosted: as of `ResultLine`; NaN for None.
        standings: indexes into `STANDINGS`.
        counted_parts: by key of a part, what counts in its mean (`ResultLine.counted_parts`); NaN for rows
            in which nothing does. The column ends at the last row with the key.
        ends: the offset in the file of each row's end.
        group_numbers: by name of a group, the number that is inverted in `groups`.
    """

    lines: array[int] = field(default_factory=lambda: array("q"))
    samples: array[int] = field(default_factory=lambda: array("q"))
    groups: array[int] = field(default_factory=lambda: array("q"))
    rewards: array[float] = field(default_factory=lambda: array("d"))
    counted: array[float] = field(default_factory=lambda: array("d"))
    hosted: array[float] = field(default_factory=lambda: array("d"))
    standings: array[int] = field(default_factory=lambda: array("b"))
    counted_parts: dict[str, array[float]] = field(default_factory=dict)
    ends: array[int] = field(default_factory=lambda: array("q"))
    group_numbers: dict[str, int] = field(default_factory=dict)

    def add(self, result: ResultLine, end: int) -> None:
        """Add one row."""
        before = len(self.lines)
        self.lines.append(result.line)
        self.samples.append(max(result.sample, 1))
        group = result.group
        self.groups.append(
            result.line
            if group is None
            else ~self.group_numbers.setdefault(group, len(self.group_numbers))
        )
        self.rewards.append(_nan_if_none(result.reward if result.status == "scored" else None))
        self.counted.append(_nan_if_none(result.counted))
        self.hosted.append(_nan_if_none(result.hosted))
        blame = "infrastructure" if result.status == "failed" else result.blame
        self.standings.append(_NUMBERS[None if result.status == "scored" else blame])
        self.ends.append(end)
        for key, value in result.counted_parts.items():
            column = column_of(self.counted_parts, key)
            column.extend([math.nan] * (before - len(column)))
            column.append(_nan_if_none(value))


_NUMBERS = {blame: number for number, (_, blame) in enumerate(STANDINGS)}


def _nan_if_none(value: float | None) -> float:
    return math.nan if value is None else value


class RunColumns:
    """A results file, read once and kept as numbers.

    Attributes:
        meta: what gave the results; empty if that is not recorded.
        lines, samples, rewards, counted, hosted, standings: of each row, as in `Columns`.
        groups: of each row, a number that it shares with the other samples of its prompt: below zero if the
            group has a name, else its line.

    Raises:
        DataSetError: the file cannot be read, is not a results file, or does not say who is to blame.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.meta = path, read_meta(path)
        columns = Columns()
        try:
            for end, result in results_in(lines_of(path)):
                try:
                    columns.add(result, end)
                except DataSetError as error:
                    raise DataSetError(f"{path}: {error}") from None
        except OverflowError:
            raise DataSetError(f"{path} has a number that is too large for a line.") from None
        self._columns = columns
        self.rewards = np.frombuffer(columns.rewards, dtype=np.float64)
        self.counted = np.frombuffer(columns.counted, dtype=np.float64)
        self.hosted = np.frombuffer(columns.hosted, dtype=np.float64)
        self.standings = np.frombuffer(columns.standings, dtype=np.int8)
        self.groups = np.frombuffer(columns.groups, dtype=np.int64)
        self.lines = np.frombuffer(columns.lines, dtype=np.int64)
        self.samples = np.frombuffer(columns.samples, dtype=np.int64)

    @property
    def keys(self) -> list[str]:
        """The keys of the sub-rewards."""
        return list(self._columns.counted_parts)

    def counted_parts(self, key: str) -> Floats:
        """What counts of the part with one key, of each row; NaN for rows that are not in its mean."""
        column = self._columns.counted_parts.get(key, ())
        padded = np.full(len(self.rewards), np.nan)
        padded[: len(column)] = column
        return padded

    def group_names(self, indexes: Ints) -> list[str | None]:
        """The names of the groups of these rows; None for a row without one."""
        names = list(self._columns.group_numbers)
        return [None if group >= 0 else names[~group] for group in self.groups[indexes].tolist()]

    def require_single(self) -> None:
        """Check that no row has two results.

        Raises:
            DataSetError: one has.
        """
        order = np.lexsort((self.samples, self.lines))
        lines, samples = self.lines[order], self.samples[order]
        repeated = np.flatnonzero((np.diff(lines) == 0) & (np.diff(samples) == 0))
        if len(repeated):
            line = int(lines[repeated[0]])
            raise DataSetError(f"{self.path} has two results for line {line} of its data set.")

    def matched(self, other: RunColumns) -> tuple[Ints, Ints]:
        """The indexes of the rows whose line and sample both runs have, in this run and in the other.

        Raises:
            DataSetError: a line or a sample has too large a number.
        """
        spread = 1 + max(int(run.samples.max(initial=0)) for run in (self, other))
        last = max(int(run.lines.max(initial=0)) for run in (self, other))
        if spread * (last + 1) > _MAX_POSITION:
            raise DataSetError(
                f"{self.path} or {other.path} has a line or sample of too large a number."
            )
        here, there = (run.lines * spread + run.samples for run in (self, other))
        _, in_here, in_there = np.intersect1d(here, there, assume_unique=True, return_indices=True)
        return in_here, in_there

    def result(self, index: int) -> ResultLine:
        """The whole result of a row, read again from the file."""
        start = self._columns.ends[index - 1] if index else 0
        with lines_of(self.path).open("rb") as file:
            file.seek(start)
            return decode_result(file.read(self._columns.ends[index] - start))

    def counts(self) -> dict[tuple[Status, Blame | None], int]:
        """How many rows have each status and blame; without those that none has."""
        counts = np.bincount(self.standings, minlength=len(STANDINGS)).tolist()
        return {standing: count for standing, count in zip(STANDINGS, counts, strict=True) if count}
