"""A results file read once, kept as what a report needs: columns of numbers, and a bounded choice of rows."""

from __future__ import annotations

import json
import random
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graders_engine.dataset.results.line import ResultLine, results_in
from graders_engine.dataset.results.tally import Tally
from graders_engine.errors import DataSetError
from graders_engine.outcome import Usage, total_usage

EXTREMES = 40
"""Rows kept from each end of the rewards, and of the slowest."""
FLAGGED = 10
"""Rows kept of each flag."""
SAMPLED = 200
"""Rows kept of all, each with the same chance."""


def lines_of(results: Path) -> Path:
    """The file with a result a line: beside a Parquet file of results, that which it was made from."""
    return results.with_name(f"{results.name}.jsonl") if results.suffix == ".parquet" else results


def read_meta(path: Path) -> dict[str, Any]:
    """What gave a results file, as the file beside it says; empty where there is none.

    Raises:
        DataSetError: the file beside it is not what a run writes.
    """
    lines = lines_of(path)
    meta_path = lines.with_name(lines.name + ".meta.json")
    try:
        meta = json.loads(meta_path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise DataSetError(f"{meta_path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise DataSetError(f"{meta_path} is not JSON: {error}.") from None
    if not isinstance(meta, dict):
        raise DataSetError(f"{meta_path} does not hold an object: it is not what a run writes.")
    return meta


class TopK:
    """The `most` results with the smallest keys, in their order; of equal ones, those that came first."""

    def __init__(self, most: int, key: Callable[[ResultLine], float]) -> None:
        self._most, self._key = most, key
        self._held: list[ResultLine] = []
        self._limit = float("inf")

    def add(self, result: ResultLine) -> None:
        """Look at one more."""
        if self._key(result) < self._limit:
            self._held.append(result)
            if len(self._held) >= 4 * self._most:
                self._limit = self._key(self.rows()[-1])

    def rows(self) -> list[ResultLine]:
        """Those that were kept."""
        self._held.sort(key=self._key)
        del self._held[self._most :]
        return list(self._held)


class Reservoir:
    """`most` results of all that come, each with the same chance (Vitter's algorithm R, seeded)."""

    def __init__(self, most: int) -> None:
        self._most, self._seen = most, 0
        self._random = random.Random(0).random  # noqa: S311 - a choice of rows to show, no secret
        self.rows: list[ResultLine] = []

    def add(self, result: ResultLine) -> None:
        """Look at one more."""
        self._seen += 1
        if self._seen <= self._most:
            self.rows.append(result)
        elif (place := int(self._random() * self._seen)) < self._most:
            self.rows[place] = result


@dataclass(slots=True)
class Repeats:
    """How far a judge's answers to the same question lie apart.

    Attributes:
        rows: rows that were asked several times.
        answers: all answers to them.
        differing: rows whose answers are not all equal.
        deviation_sum: sum over the rows of the answers' standard deviation (n - 1).
        widest: the largest distance between two answers to one row.
        widest_line: the line of that row.
    """

    rows: int = 0
    answers: int = 0
    differing: int = 0
    deviation_sum: float = 0.0
    widest: float = 0.0
    widest_line: int = 0

    def add(self, line: int, rewards: list[float]) -> None:
        """Count one row's answers; one answer alone says nothing."""
        if len(rewards) < 2:
            return
        self.rows += 1
        self.answers += len(rewards)
        distance = max(rewards) - min(rewards)
        if distance > 0:
            self.differing += 1
            mean = sum(rewards) / len(rewards)
            squares = sum((reward - mean) ** 2 for reward in rewards)
            self.deviation_sum += (squares / (len(rewards) - 1)) ** 0.5
        if distance > self.widest:
            self.widest, self.widest_line = distance, line


@dataclass(slots=True)
class Digest:
    """What is kept of a run: 8 bytes for each number of a scored row, and a few hundred rows.

    Attributes:
        tally: the counts.
        rewards: of the scored rows, in the file's order.
        groups: for each of `rewards`, a number that it shares with the other samples of its prompt; rows
            without a group have one of their own, below zero.
        sub_rewards: by key of a multi, for each of `rewards`; NaN where a row has none.
        usage: the tokens of judges, by model.
        repeats: by grader key, where judges were asked several times.
        seconds: sum of the rows' grading times.
        worst: scored rows with the smallest rewards.
        best: scored rows with the largest.
        slowest: rows that took longest.
        flagged: of each flag, its first rows.
        drawn: rows drawn from all.
    """

    tally: Tally = field(default_factory=Tally)
    rewards: array[float] = field(default_factory=lambda: array("d"))
    groups: array[int] = field(default_factory=lambda: array("q"))
    sub_rewards: dict[str, array[float]] = field(default_factory=dict)
    usage: dict[str, Usage] = field(default_factory=dict)
    repeats: dict[str, Repeats] = field(default_factory=dict)
    seconds: float = 0.0
    worst: TopK = field(default_factory=lambda: TopK(EXTREMES, lambda result: result.reward or 0.0))
    best: TopK = field(
        default_factory=lambda: TopK(EXTREMES, lambda result: -(result.reward or 0.0))
    )
    slowest: TopK = field(default_factory=lambda: TopK(EXTREMES, lambda result: -result.seconds))
    flagged: dict[str, list[ResultLine]] = field(default_factory=dict)
    drawn: Reservoir = field(default_factory=lambda: Reservoir(SAMPLED))
    _group_numbers: dict[str, int] = field(default_factory=dict)

    def add(self, result: ResultLine) -> None:
        """Take in one row."""
        self.tally.add(result)
        self.seconds += result.seconds
        self.slowest.add(result)
        self.drawn.add(result)
        if result.status == "scored" and result.reward is not None:
            self._add_scored(result, result.reward)
        for flag in result.flags:
            rows = self.flagged.setdefault(flag, [])
            if len(rows) < FLAGGED:
                rows.append(result)
        if result.usage:
            self.usage = total_usage((self.usage, result.usage))
        for key, rewards in result.repeats.items():
            self.repeats.setdefault(key, Repeats()).add(result.line, rewards)

    def _add_scored(self, result: ResultLine, reward: float) -> None:
        self.worst.add(result)
        self.best.add(result)
        before = len(self.rewards)
        self.rewards.append(reward)
        group = result.group
        self.groups.append(
            ~before
            if group is None
            else self._group_numbers.setdefault(group, len(self._group_numbers))
        )
        for key, value in result.sub_rewards.items():
            column = self.sub_rewards.setdefault(key, array("d"))
            if len(column) < before:
                column.extend([float("nan")] * (before - len(column)))
            column.append(float("nan") if value is None else value)

    @property
    def grouped(self) -> bool:
        """Whether any two rows are samples of one prompt."""
        return bool(self._group_numbers)

    def kept(self) -> list[ResultLine]:
        """Every row that was kept, once, in the data set's order."""
        rows = [*self.worst.rows(), *self.best.rows(), *self.slowest.rows(), *self.drawn.rows]
        rows += [row for rows_of_flag in self.flagged.values() for row in rows_of_flag]
        by_place = {(row.line, row.sample): row for row in rows}
        return [by_place[place] for place in sorted(by_place)]


def digest(path: Path) -> Digest:
    """Read a results file.

    Raises:
        DataSetError: the file cannot be read, or a line is not a result.
    """
    taken = Digest()
    for _, result in results_in(lines_of(path)):
        taken.add(result)
    return taken
