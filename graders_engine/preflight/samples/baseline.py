"""The rewards of the base model, in numbers; pure arithmetic over the samples."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graders_engine.preflight.attacks.results import shown_scale
from graders_engine.preflight.check import BUDGET_SPENT, Answer, Ask
from graders_engine.preflight.findings import NotChecked
from graders_engine.preflight.inputs import GradedSample, Inputs
from graders_engine.preflight.reward_scale import SAME, RewardScale

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from graders_engine.statistics.estimate import Estimate
    from graders_engine.statistics.samples import Signal


ROOTS = ("missing-field", "sample-unread", "samples-unmatched", "grader-fails", "constant-reward")
"""The checks of which all that is said of rewards would be a consequence."""
GROUP_ROOTS = (*ROOTS, "baseline-floor", "baseline-ceiling")
"""Those of what is said of the differences between rewards."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a base model earns.

    Attributes:
        samples: the samples that have a reward.
        rewards: their rewards.
        prompts: the name of each one's prompt.
        scale: the grader's own scale.
        group_size: samples of a group in training.
    """

    samples: Sequence[GradedSample]
    rewards: NDArray[np.float64]
    prompts: NDArray[Any]
    scale: RewardScale
    group_size: int

    @property
    def mean(self) -> Estimate:
        """The mean reward, with its interval over prompts."""
        from graders_engine.statistics.estimate import estimate_some

        return estimate_some(self.rewards, self.prompts, self.scale.allowed)

    @property
    def by_prompt(self) -> dict[str, list[float]]:
        """The rewards of each prompt."""
        found: dict[str, list[float]] = {}
        for prompt, reward in zip(self.prompts.tolist(), self.rewards.tolist(), strict=True):
            found.setdefault(prompt, []).append(reward)
        return found

    @property
    def signal(self) -> Signal | None:
        """How often rewards of a group differ; None if no prompt has several samples."""
        from graders_engine.statistics.samples import signal

        return signal(self.rewards, self.prompts, self.group_size)

    @property
    def all_lowest(self) -> bool:
        """Whether every sample earns the lowest reward."""
        return bool((self.rewards <= self.scale.lowest + SAME).all())

    @property
    def all_full(self) -> bool:
        """Whether every sample earns full marks."""
        return bool((self.rewards >= self.scale.full - SAME).all())

    @property
    def centred(self) -> NDArray[np.float64]:
        """The rewards less the mean of their prompt: what a group's training sees."""
        return centred(self.rewards, self.prompts)


def centred(values: NDArray[np.float64], prompts: NDArray[Any]) -> NDArray[np.float64]:
    """Values less the mean of their prompt."""
    import numpy as np

    _, places = np.unique(prompts, return_inverse=True)
    places = places.ravel()
    means = np.bincount(places, values) / np.bincount(places)
    result: NDArray[np.float64] = values - means[places]
    return result


def baseline_of(inputs: Inputs) -> Baseline | None:
    """What the base model earns; None if no sample has a reward."""
    scale = shown_scale(inputs)
    samples = [sample for sample in inputs.samples if sample.reward is not None]
    if not samples or scale is None:
        return None
    import numpy as np

    return Baseline(
        samples,
        np.array([sample.reward for sample in samples], dtype=np.float64),
        np.array([sample.prompt for sample in samples]),
        scale,
        inputs.options.group_size,
    )


def with_baseline(find: Callable[[Inputs, Baseline], Answer]) -> Ask:
    """A check of what the base model earns; it is not asked where no sample has a reward."""

    @functools.wraps(find)
    def ask(inputs: Inputs) -> Answer:
        baseline = baseline_of(inputs)
        return NotChecked(why_none(inputs)) if baseline is None else find(inputs, baseline)

    return ask


def why_none(inputs: Inputs) -> str:
    """Why no sample has a reward."""
    if inputs.samples:
        return "no sample has a reward"
    if inputs.stopped:
        return BUDGET_SPENT
    left_out = inputs.given and inputs.grader is not None and inputs.grader.judges
    return "no calls of judges are left (--max-calls)" if left_out else "no sample was graded"


def share_ends(baseline: Baseline) -> tuple[float, float, float]:
    """(mean, lower end, upper end) as shares of the scale; the ends are 0 and 1 where they are unknown."""
    found, share = baseline.mean, baseline.scale.share
    low = 0.0 if found.low is None else share(found.low)
    high = 1.0 if found.high is None else share(found.high)
    return share(found.value), low, high


def measured(inputs: Inputs) -> Any:
    """The mean reward of the base model's samples, with its interval over prompts."""
    baseline = baseline_of(inputs)
    if baseline is None:
        return None
    found = baseline.mean
    return {
        "mean": found.value, "low": found.low, "high": found.high, "samples": found.rows,
        "prompts": found.groups,
    }  # fmt: skip


def measured_signal(inputs: Inputs) -> Any:
    """The share of groups whose rewards differ; None if no prompt has several samples."""
    baseline = baseline_of(inputs)
    found = baseline.signal if baseline else None
    if found is None:
        return None
    share = found.share
    return {
        "share": share.value, "low": share.low, "high": share.high, "group_size": found.size,
        "prompts": share.rows, "fewer_samples": found.smaller,
    }  # fmt: skip
