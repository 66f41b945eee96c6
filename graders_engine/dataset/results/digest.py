"""What a report needs of a results file: columns of numbers, and a bounded selection of rows."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from graders_engine.dataset.results.data import LineGroups
from graders_engine.dataset.results.line import ResultLine, column_of, lines_of, results_in
from graders_engine.dataset.results.tally import Tally
from graders_engine.errors import DataSetError
from graders_engine.outcome import Usage

EXTREMES = 40
"""Rows kept with the smallest rewards, with the largest, and of the slowest."""
FLAGGED = 10
"""Rows kept for each flag."""
SLOW_S = 0.1
"""Where no row takes so many seconds, its grading's time matters to nobody."""
MAX_NAMES = 1000
"""Different flags, models or judges in a file; a report with more would take very long."""
DRAWN = 10_000
"""Rows kept of prompts that are drawn at random; of a run with no more rows, all."""
_NAN = float("nan")


class TopK:
    """The results with the smallest keys, in their order; of equal keys, the first ones.

    Args:
        size: how many to keep.
        key: of a result.
        one_a_prompt: whether only the first of a prompt's results counts.
    """

    def __init__(
        self, size: int, key: Callable[[ResultLine], float], *, one_a_prompt: bool = False
    ) -> None:
        self._size, self._key, self._one_a_prompt = size, key, one_a_prompt
        self._held: list[ResultLine] = []
        self._limit = float("inf")

    def add(self, result: ResultLine) -> None:
        """Consider one more result."""
        if self._key(result) < self._limit:
            self._held.append(result)
            if len(self._held) >= 2 * self._size:
                self._limit = self._key(self.rows()[-1])

    def rows(self) -> list[ResultLine]:
        """The results that are kept."""
        self._held.sort(key=self._key)
        if self._one_a_prompt:
            first: dict[str | int, ResultLine] = {}
            for result in self._held:
                first.setdefault(result.prompt, result)
            self._held = list(first.values())
        del self._held[self._size :]
        return list(self._held)


def _place_in_draw(result: ResultLine) -> int:
    """A number that looks random and is the same for all samples of a prompt (Knuth's hash of integers)."""
    group = result.group
    prompt = result.line if group is None else zlib.crc32(group.encode(errors="surrogatepass"))
    return prompt * 2_654_435_761 & 0xFFFFFFFF


@dataclass(slots=True)
class Repeats:
    """How much a judge's answers to the same question differ.

    Attributes:
        rows: rows about which the judge was asked several times.
        answers: all answers about them.
        differing: rows whose answers are not all equal.
        deviation_sum: sum over the rows of the answers' standard deviation (n - 1).
        widest: the largest distance between two answers about one row.
        widest_line: the line of that row.
    """

    rows: int = 0
    answers: int = 0
    differing: int = 0
    deviation_sum: float = 0.0
    widest: float = 0.0
    widest_line: int = 0

    def add(self, line: int, rewards: list[float]) -> None:
        """Add one row's answers; a single answer is not counted."""
        if len(rewards) < 2:
            return
        self.rows += 1
        self.answers += len(rewards)
        distance = max(rewards) - min(rewards)
        if distance > 0:
            self.differing += 1
            mean = sum(rewards) / len(rewards)
            squares = 0.0
            for reward in rewards:
                squares += (reward - mean) * (reward - mean)  # unlike a power, it may be infinite
            self.deviation_sum += (squares / (len(rewards) - 1)) ** 0.5
        if distance > self.widest:
            self.widest, self.widest_line = distance, line


@dataclass(slots=True)
class Digest:
    """What is kept of a run: 8 bytes for each number of a row, and a few hundred rows.

    Attributes:
        rewards: of all rows, in the order of the file: what training would see of the model
            (`ResultLine.counted`), or NaN where it sees nothing.
        groups: of each row, a number that it shares with the other samples of its prompt; the rows of a line
            without a group have a number of their own, below zero.
        served: how often each reward is served in place of one to rows that count with it.
        sub_rewards: by key of a multi, of each row; NaN if the part has no value. A column ends at the last
            row with the key.
        served_parts: by key, the rows in which the part failed and counts as 0 (`ResultLine.counted_parts`).
        usage: the tokens that judges took, by model.
        saved_tokens: those that were not spent: kept replies, and rows that equal an earlier one.
        repeats: of judges that are asked several times, by the grader's key.
        seconds: sum of the rows' grading times.
        worst: scored rows with the smallest rewards, one a prompt.
        best: scored rows with the largest rewards, one a prompt.
        slowest: rows whose grading took longest.
        flagged: the first rows of each flag.
        drawn: rows of prompts that are drawn at random.
    """

    tally: Tally = field(default_factory=Tally)
    rewards: array[float] = field(default_factory=lambda: array("d"))
    groups: array[int] = field(default_factory=lambda: array("q"))
    served: dict[float, int] = field(default_factory=dict)
    sub_rewards: dict[str, array[float]] = field(default_factory=dict)
    served_parts: dict[str, array[int]] = field(default_factory=dict)
    usage: dict[str, Usage] = field(default_factory=dict)
    saved_tokens: int = 0
    repeats: dict[str, Repeats] = field(default_factory=dict)
    seconds: float = 0.0
    worst: TopK = field(
        default_factory=lambda: TopK(
            EXTREMES, lambda result: result.reward or 0.0, one_a_prompt=True
        )
    )
    best: TopK = field(
        default_factory=lambda: TopK(
            EXTREMES, lambda result: -(result.reward or 0.0), one_a_prompt=True
        )
    )
    slowest: TopK = field(default_factory=lambda: TopK(EXTREMES, lambda result: -result.seconds))
    flagged: dict[str, list[ResultLine]] = field(default_factory=dict)
    drawn: TopK = field(default_factory=lambda: TopK(DRAWN, _place_in_draw))
    _group_numbers: dict[str, int] = field(default_factory=dict)
    _lines_alone: dict[int, int] = field(default_factory=dict)

    def add(self, result: ResultLine) -> None:
        """Add one row."""
        self.tally.add(result)
        self.seconds += result.seconds
        self.slowest.add(result)
        self.drawn.add(result)
        if result.status == "scored":
            self.worst.add(result)
            self.best.add(result)
        self._add_numbers(result)
        # Most rows have none of these.
        if result.flags or result.usage or result.saved or result.repeats:
            self._add_names(result)

    def _add_names(self, result: ResultLine) -> None:
        for flag in result.flags:
            rows = self.flagged.setdefault(flag, [])
            if len(rows) < FLAGGED:
                rows.append(result)
        for model, usage in result.usage.items():
            before = self.usage.get(model)
            self.usage[model] = usage if before is None else before + usage
        for saved in result.saved.values():
            self.saved_tokens += saved.total_tokens
        for key, rewards in result.repeats.items():
            self.repeats.setdefault(key, Repeats()).add(result.line, rewards)
        if max(len(self.flagged), len(self.usage), len(self.repeats)) > MAX_NAMES:
            raise DataSetError(
                f"The results have more than {MAX_NAMES} different flags, models or judges."
            )

    def _add_numbers(self, result: ResultLine) -> None:
        before = len(self.rewards)
        reward = result.counted
        self.rewards.append(_NAN if reward is None else reward)
        if reward is not None and result.status != "scored":
            self.served[reward] = self.served.get(reward, 0) + 1
        self.groups.append(self._group_of(result, ~before))
        for key, value in result.sub_rewards.items():
            column = column_of(self.sub_rewards, key)
            if len(column) < before:
                column.extend([_NAN] * (before - len(column)))
            column.append(_NAN if value is None else value)
        if result.status != "scored":
            for key, counted in result.counted_parts.items():
                if counted is not None and result.sub_rewards[key] is None:
                    self.served_parts.setdefault(key, array("q")).append(before)

    def _group_of(self, result: ResultLine, own: int) -> int:
        if result.group is not None:
            return self._group_numbers.setdefault(result.group, len(self._group_numbers))
        # The samples of a line are of one prompt, even if `--group-by` finds no name for it.
        return self._lines_alone.setdefault(result.line, own) if result.sample else own

    @property
    def grouped(self) -> bool:
        """Whether any two rows are samples of one prompt."""
        return self.tally.grouped

    @property
    def is_slow(self) -> bool:
        """Whether single rows' times are of interest."""
        return any(result.seconds >= SLOW_S for result in self.slowest.rows()[:1])

    def extremes(self) -> list[ResultLine]:
        """The rows that a short report names: the first of each flag, the lowest, highest and slowest."""
        rows = [row for rows_of_flag in self.flagged.values() for row in rows_of_flag]
        return _distinct([*rows, *self.worst.rows(), *self.best.rows(), *self.slowest.rows()])

    def kept(self) -> list[ResultLine]:
        """All rows that are kept, each once: `extremes`, and then those that are drawn, prompt by prompt."""
        return _distinct([*self.extremes(), *self.drawn.rows()])


def _distinct(results: list[ResultLine]) -> list[ResultLine]:
    """The results, each row once."""
    return list({(row.line, row.sample): row for row in results}.values())


def digest(path: Path, groups: LineGroups | None = None, drawn: int = DRAWN) -> Digest:
    """Read a results file.

    Args:
        path: the file.
        groups: the groups of its rows in place of those that are recorded.
        drawn: how many rows to keep of prompts that are drawn at random.

    Raises:
        DataSetError: the file cannot be read, or a line is not a result.
    """
    content = Digest(drawn=TopK(drawn, _place_in_draw))
    for _, result in results_in(lines_of(path)):
        if groups is not None:
            result = msgspec.structs.replace(result, group=groups.names.get(result.line))
        content.add(result)
    return content
