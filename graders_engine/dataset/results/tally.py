"""The numbers of a run, counted result by result."""

from __future__ import annotations

from dataclasses import dataclass, field

from graders_engine.dataset.results.line import ResultLine

BINS = 10
"""Bins of the histogram over [0, 1]; rewards outside count in the first or the last."""


@dataclass(slots=True)
class Tally:
    """The numbers of a data set.

    Attributes:
        scored: rows with a reward and no failure; the means are over these.
        invalid: rows without a reward for which the row or the grader is to blame.
        failed: rows without a reward for which the infrastructure is to blame.
        reward_sum: over the scored rows.
        served_sum: over scored and invalid rows as the hosted API serves them: a missing reward is 0.
        flags: how often each flag was set.
        examples: for each flag, the first line with it, and its details.
        sub_reward_sums: by key of a multi, over the scored rows.
        histogram: of the scored rows' rewards.
    """

    rows: int = 0
    scored: int = 0
    invalid: int = 0
    failed: int = 0
    reward_sum: float = 0.0
    served_sum: float = 0.0
    flags: dict[str, int] = field(default_factory=dict)
    examples: dict[str, tuple[int, str]] = field(default_factory=dict)
    sub_reward_sums: dict[str, float] = field(default_factory=dict)
    histogram: list[int] = field(default_factory=lambda: [0] * BINS)

    def add(self, result: ResultLine) -> None:
        """Count one row."""
        self.rows += 1
        reward = result.reward
        if result.status == "scored" and reward is not None:
            self.scored += 1
            self.reward_sum += reward
            self.served_sum += reward
            self.histogram[min(int(min(max(reward, 0.0), 1.0) * BINS), BINS - 1)] += 1
            for key, value in result.sub_rewards.items():
                self.sub_reward_sums[key] = self.sub_reward_sums.get(key, 0.0) + (value or 0.0)
        elif result.status == "invalid":
            self.invalid += 1
            self.served_sum += reward or 0.0
        else:
            self.failed += 1
        for flag, details in result.flags.items():
            self.flags[flag] = self.flags.get(flag, 0) + 1
            self.examples.setdefault(flag, (result.line, details))

    def merge(self, later: Tally) -> None:
        """Add the numbers of later lines."""
        self.rows += later.rows
        self.scored += later.scored
        self.invalid += later.invalid
        self.failed += later.failed
        self.reward_sum += later.reward_sum
        self.served_sum += later.served_sum
        for flag, count in later.flags.items():
            self.flags[flag] = self.flags.get(flag, 0) + count
            self.examples.setdefault(flag, later.examples[flag])
        for key, total in later.sub_reward_sums.items():
            self.sub_reward_sums[key] = self.sub_reward_sums.get(key, 0.0) + total
        self.histogram = [sum(pair) for pair in zip(self.histogram, later.histogram, strict=True)]

    @property
    def mean(self) -> float | None:
        """Mean reward of the scored rows; None without any."""
        return self.reward_sum / self.scored if self.scored else None

    @property
    def served_mean(self) -> float | None:
        """Mean reward of the scored and invalid rows as the hosted API serves them; None without any."""
        count = self.scored + self.invalid
        return self.served_sum / count if count else None
