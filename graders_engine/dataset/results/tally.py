"""The numbers of a run, counted result by result; their memory does not grow with the run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.results.reasons import Reason
from graders_engine.errors import NO_OUTPUT
from graders_engine.outcome import BLAMES, Blame, Flag
from graders_engine.statistics.rounding import slack

_Key = TypeVar("_Key")
_Number = TypeVar("_Number", int, float)
_MAX_REASONS = 100
_MAX_COMPARED = 200
"""So many characters of details show whether they are of one kind."""
_OF_THE_ROW = re.compile(r"^[\w, -]+: |`[^`]*`|\([^)]*\)?|(?<!\w)'.*|\d[\d,]*", re.DOTALL)
"""What differs between details of one kind: the parts of a multi, names, quotations, numbers."""
_VARYING = re.compile(r"'[^']*'|`[a-z_]+` \S+|\d[\d,]*")
"""What differs between reasons of one kind."""
MAX_DISTINCT = 10_000
"""Different rewards that are counted one by one; runs with more are read again for their distribution."""


@dataclass(slots=True)
class Tally:
    """The numbers of a data set.

    "Counted" rows are those that training would see of the model: scored ones, and those that are invalid by
    the sample or the grader, at what is served. The others are in no mean.

    Attributes:
        scored: rows with a reward and no failure.
        invalid: rows without a reward, and not because of an outage.
        failed: rows without a reward for which the infrastructure is to blame.
        blames: the invalid and failed rows, by who is to blame.
        reward_sum: over the scored rows.
        served: the invalid rows that are counted.
        served_sum: over these, what is served.
        others_sum: over the invalid rows that are not counted, what the hosted API would serve.
        outside: the invalid rows that stand for outputs without a row.
        flags: how often each flag was set.
        examples: for each flag, the name of the first row with it, and the details.
        kinds: for each flag with details, their words without ids and numbers, of up to `_MAX_REASONS` kinds.
        sub_reward_sums: by key of a multi, over the rows that count in it (`ResultLine.counted_parts`).
        sub_reward_rows: how many rows these are.
        reward_counts: how many counted rows have each reward; None if there are more than `MAX_DISTINCT`.
        reasons: why rows cannot be graded, by the words without ids and numbers.
        without_output: the failed rows that have an error in place of an output: no retry helps them.
        first_without_output: the reason of the first of them.
        no_verdict: the invalid rows for which a judge's answer had no verdict.
        clamped: the rows in which a judge's number was outside the grader's range, by the grader's key.
        left_out: the rows for which a judge was not sent a part of the request, by model and part.
        grouped: whether a row is one of the samples of a prompt.
        earlier: rows that had their results before this run.
        retried: rows that failed, and were graded once more at the end.
    """

    rows: int = 0
    scored: int = 0
    invalid: int = 0
    failed: int = 0
    blames: dict[Blame, int] = field(default_factory=lambda: dict.fromkeys(BLAMES, 0))
    reward_sum: float = 0.0
    served: int = 0
    served_sum: float = 0.0
    others_sum: float = 0.0
    outside: int = 0
    flags: dict[str, int] = field(default_factory=dict)
    examples: dict[str, tuple[str, str]] = field(default_factory=dict)
    kinds: dict[str, set[str]] = field(default_factory=dict, compare=False)
    sub_reward_sums: dict[str, float] = field(default_factory=dict)
    sub_reward_rows: dict[str, int] = field(default_factory=dict)
    reward_counts: dict[float, int] | None = field(default_factory=dict)
    reasons: dict[str, Reason] = field(default_factory=dict)
    without_output: int = 0
    first_without_output: str = ""
    no_verdict: int = 0
    clamped: dict[str, int] = field(default_factory=dict)
    left_out: dict[tuple[str, str], int] = field(default_factory=dict)
    grouped: bool = False
    earlier: int = field(default=0, compare=False)
    retried: int = field(default=0, compare=False)

    def add(self, result: ResultLine) -> None:
        """Count one row."""
        self.rows += 1
        reward = result.reward
        if result.status == "scored" and reward is not None:
            self.scored += 1
            self.reward_sum += reward
            if self.reward_counts is not None and reward in self.reward_counts:
                self.reward_counts[reward] += 1  # as `_count`, for most rows
            else:
                self._count(reward)
        else:
            self._add_unscored(result)
        if result.group is not None:
            self.grouped = True
        if result.clamped or result.left_out:
            self._add_judged(result)
        if result.sub_rewards:
            self._add_parts(result.counted_parts)
        if result.flags:
            self._add_flags(result)

    def add_all(self, results: Iterable[ResultLine]) -> None:
        """Count rows in their order; those that most rows are like are counted here, which is quicker."""
        counts, total, alike = self.reward_counts, self.reward_sum, 0
        for result in results:
            reward = result.reward
            is_known = counts is not None and reward in counts and result.status == "scored"
            if (
                not is_known
                or result.group is not None
                or (result.flags or result.sub_rewards or result.clamped or result.left_out)
            ):
                self.reward_sum = total
                self.add(result)
                counts, total = self.reward_counts, self.reward_sum
            else:
                counts[reward] += 1  # type: ignore[index] # they are the same objects as above
                total += reward  # type: ignore[operator]
                alike += 1
        self.reward_sum = total
        self.rows += alike
        self.scored += alike

    def _add_flags(self, result: ResultLine) -> None:
        for flag, details in result.flags.items():
            self.flags[flag] = self.flags.get(flag, 0) + 1
            self.examples.setdefault(flag, (result.name, details))
            if details:
                self._add_kinds(flag, {_OF_THE_ROW.sub("…", details[:_MAX_COMPARED])})

    def _count(self, reward: float) -> None:
        counts = self.reward_counts
        if counts is not None:
            counts[reward] = counts.get(reward, 0) + 1
            if len(counts) > MAX_DISTINCT:
                self.reward_counts = None

    def _add_unscored(self, result: ResultLine) -> None:
        counted = result.counted
        blame: Blame = result.blame or "infrastructure"
        self.blames[blame] += 1
        details = result.flags.get(Flag.OTHER, "")
        if result.status == "failed":
            self.failed += 1
            if NO_OUTPUT in details:
                self.without_output += 1
                self.first_without_output = self.first_without_output or details
            return
        if blame == "row" and details:
            self._add_reason(_VARYING.sub("…", details), Reason(1, details, result.name))
        self.invalid += 1
        self.no_verdict += result.without_verdict
        if counted is None:
            hosted = result.hosted
            self.others_sum += hosted or 0.0
            self.outside += hosted is None
        else:
            self.served += 1
            self.served_sum += counted
            self._count(counted)

    def _add_kinds(self, flag: str, kinds: set[str]) -> None:
        known = self.kinds.setdefault(flag, set())
        if len(known) < _MAX_REASONS:
            known |= kinds

    def _add_reason(self, kind: str, reason: Reason) -> None:
        known = self.reasons.get(kind)
        if known or len(self.reasons) < _MAX_REASONS:
            self.reasons[kind] = known + reason if known else reason

    def _add_judged(self, result: ResultLine) -> None:
        _add(self.clamped, dict.fromkeys(result.clamped, 1))
        _add(
            self.left_out,
            {(model, part): 1 for model, parts in result.left_out.items() for part in parts},
        )

    def _add_parts(self, counted: dict[str, float | None]) -> None:
        sums, rows = self.sub_reward_sums, self.sub_reward_rows
        for key, value in counted.items():
            if value is not None:
                sums[key] = sums.get(key, 0.0) + value
                rows[key] = rows.get(key, 0) + 1

    def merge(self, later: Tally) -> None:
        """Add the numbers of later lines."""
        self.rows += later.rows
        self.scored += later.scored
        self.invalid += later.invalid
        self.failed += later.failed
        self.reward_sum += later.reward_sum
        self.served += later.served
        self.served_sum += later.served_sum
        self.others_sum += later.others_sum
        self.outside += later.outside
        self.grouped |= later.grouped
        self.no_verdict += later.no_verdict
        self.without_output += later.without_output
        self.first_without_output = self.first_without_output or later.first_without_output
        for kind, reason in later.reasons.items():
            self._add_reason(kind, reason)
        for flag, example in later.examples.items():
            self.examples.setdefault(flag, example)
        for flag, kinds in later.kinds.items():
            self._add_kinds(flag, kinds)
        _add(self.blames, later.blames)
        _add(self.flags, later.flags)
        _add(self.clamped, later.clamped)
        _add(self.left_out, later.left_out)
        _add(self.sub_reward_sums, later.sub_reward_sums)
        _add(self.sub_reward_rows, later.sub_reward_rows)
        if self.reward_counts is not None and later.reward_counts is not None:
            _add(self.reward_counts, later.reward_counts)
            if len(self.reward_counts) > MAX_DISTINCT:
                self.reward_counts = None
        else:
            self.reward_counts = None

    @property
    def counted(self) -> int:
        """The rows that are in the mean."""
        return self.scored + self.served

    @property
    def mean(self) -> float | None:
        """Mean reward of the counted rows; None without any."""
        return (self.reward_sum + self.served_sum) / self.counted if self.counted else None

    @property
    def scored_mean(self) -> float | None:
        """Mean reward of the scored rows alone; None without any."""
        return self.reward_sum / self.scored if self.scored else None

    @property
    def hosted(self) -> int:
        """The rows that are in `hosted_mean`: all of the data but the failed ones."""
        return self.scored + self.invalid - self.outside

    @property
    def hosted_mean(self) -> float | None:
        """The mean as the hosted service would print it; None if all rows failed."""
        total = self.reward_sum + self.served_sum + self.others_sum
        return total / self.hosted if self.hosted else None

    def judged(self) -> dict[str, Any]:
        """`clamped`, and `left_out` by model and then by part, as JSON has them."""
        left_out: dict[str, dict[str, int]] = {}
        for (model, part), count in self.left_out.items():
            left_out.setdefault(model, {})[part] = count
        return {"clamped": dict(self.clamped), "left_out": left_out}

    def passed(self, passing: float) -> int | None:
        """How many counted rows have at least this reward; None if `reward_counts` does not tell."""
        if self.reward_counts is None:
            return None
        lowest = passing - slack(passing)
        return sum(count for reward, count in self.reward_counts.items() if reward >= lowest)


def _add(into: dict[_Key, _Number], more: dict[_Key, _Number]) -> None:
    for key, number in more.items():
        into[key] = into[key] + number if key in into else number
