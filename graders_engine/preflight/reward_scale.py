"""The scale of a grader's rewards: what is full marks, what is nothing, what ignorance earns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from graders_engine.graders.static_range import Interval
from graders_engine.preflight.trials import Trial

SAME = 1e-9
"""Rewards that differ by less are equal."""
REWARDED = 0.99
"""Share of the full mark from which on an answer counts as rewarded."""


@dataclass(frozen=True, slots=True)
class RewardScale:
    """The grader's own scale.

    Attributes:
        lowest: the lowest reward that it can give, or has given.
        full: the full mark.
        floor: mean reward of another row's reference answer; None if none was graded.
        best_constant: mean reward of the best answer that is the same for all rows; None if not tried.
        known: whether the full mark comes from the grader's form, and not from what was seen.
    """

    lowest: float
    full: float
    floor: float | None = None
    best_constant: float | None = None
    known: bool = True

    @property
    def width(self) -> float:
        """From nothing to full marks; 0.0 for a grader that gives one reward only."""
        return self.full - self.lowest

    @property
    def allowed(self) -> tuple[float, float] | None:
        """The lowest and the highest reward that the grader's form allows; None if it does not say."""
        return (self.lowest, self.full) if self.known else None

    @property
    def honest(self) -> float:
        """What an answer earns that knows nothing of its row."""
        known = [self.lowest, self.floor, self.best_constant]
        return max(reward for reward in known if reward is not None)

    def share(self, reward: float) -> float:
        """A reward as a share of the scale, at least 0.0; 0.0 for a scale without width."""
        return max((reward - self.lowest) / self.width, 0.0) if self.width > SAME else 0.0

    def gain(self, reward: float) -> float:
        """How far a reward is from honest ignorance to full marks."""
        room = self.full - self.honest
        return (reward - self.honest) / room if room > SAME else 0.0

    def rewarded(self, reward: float | None) -> bool:
        """Whether an answer earns full marks, or nearly."""
        return reward is not None and self.width > SAME and self.share(reward) >= REWARDED


def rewards_in(trials: Iterable[Trial]) -> list[float]:
    """The rewards of those that have one."""
    return [trial.reward for trial in trials if trial.reward is not None]


def mean_of(trials: Iterable[Trial]) -> float | None:
    """The mean of the rewards; None without any."""
    rewards = rewards_in(trials)
    return sum(rewards) / len(rewards) if rewards else None


def scale_of(
    static: Interval | None,
    references: Sequence[Trial],
    others: Sequence[Trial],
    constants: Sequence[float],
    seen: Sequence[float],
    ordinary: Sequence[float],
) -> RewardScale | None:
    """The scale of a grader; None if nothing is known and nothing was graded.

    Args:
        static: the rewards that its form allows; None if unknown.
        references: the reference answers on their own rows.
        others: other rows' reference answers.
        constants: the mean of each constant answer.
        seen: all that was earned.
        ordinary: what of it no text earned that was made to mislead: such a text may earn less than any
            answer.
    """
    if static is None and not seen:
        return None
    low = min([0.0, *ordinary]) if static is None else static.low
    right = max(rewards_in(references), default=low)
    high = static.high if static else right if right > low + SAME else max(seen)
    return RewardScale(
        low, high, mean_of(others), max(constants, default=None), known=static is not None
    )
