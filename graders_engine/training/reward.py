"""A job's grader as its reward; counts what went wrong, and stops the job where that teaches nothing."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

from graders_engine.blocking import Engine
from graders_engine.compiled import CompiledGrader
from graders_engine.errors import InvalidRequest, RunStopped
from graders_engine.models.local.source import LocalSource
from graders_engine.outcome import BLAMES, SERVED, Blame, RowOutcome, Usage, total_usage
from graders_engine.settings_json import from_json
from graders_engine.training.rows import Row, Split, bad_row
from graders_engine.training.trainer import (
    JobSpec,
    Rollout,
    TrainingFailed,
    TrainingPaused,
)

MOST_OUTAGES = 0.2
"""A step in which a larger share of rollouts has no reward pauses the job: the rest would bias it."""
MOST_ERRORS = 0.5
"""A job whose grader fails on a larger share of rollouts, over the last `STEPS` steps, fails."""
STEPS = 3


@dataclass(slots=True)
class Tally:
    """What grading the rollouts of a step gave, or of its evaluation.

    Attributes:
        rollouts: all of them.
        errors: how often each grader raised each flag; the key of a single grader is empty.
        blames: how many rollouts have no reward of their own, by whose fault that is.
        usage: tokens of the judges, by model.
        tokens: that the model read and sampled for them; 0 in an evaluation.
        seconds: from the first row to the last outcome.
        example: the details of a rollout on which the grader failed.
    """

    rollouts: list[Rollout] = field(default_factory=list)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    blames: Counter[Blame] = field(default_factory=Counter)
    usage: dict[str, Usage] = field(default_factory=dict)
    tokens: int = 0
    seconds: float = 0.0
    example: str = ""

    def add(self, other: Tally) -> None:
        """Count what another one has; both were graded at the same time."""
        self.rollouts += other.rollouts
        self.errors += other.errors
        self.blames += other.blames
        self.usage = total_usage([self.usage, other.usage])
        self.tokens += other.tokens
        self.seconds = max(self.seconds, other.seconds)
        self.example = self.example or other.example

    @property
    def unscored(self) -> int:
        """How many rollouts have no reward, because of an outage or a judge."""
        return sum(rollout.reward is None for rollout in self.rollouts)

    @property
    def has_outage(self) -> bool:
        """Whether so many have none that the others say too little."""
        return self.unscored > MOST_OUTAGES * len(self.rollouts)

    @property
    def reward_mean(self) -> float | None:
        """The mean of the rewards; None where no rollout has one."""
        return mean(rollout.reward for rollout in self.rollouts)

    def flag_mean(self, flag: str) -> float:
        """The share of rollouts with a flag."""
        return sum(flag in rollout.flags for rollout in self.rollouts) / max(1, len(self.rollouts))

    def outage(self) -> str:
        """A sentence on the rollouts without a reward, with the details of one."""
        flags = [rollout.flags for rollout in self.rollouts if rollout.reward is None]
        first = next((f"{flag}: {text}" for found in flags for flag, text in found.items()), "")
        ended = f" {first.rstrip('.')}." if first else ""
        return (
            f"{len(flags)} of {len(self.rollouts)} rollouts have no reward, because a judge or another "
            f"service failed, so they were not trained with.{ended} Resume the job when that is mended."
        )


class Rewards:
    """Grades rollouts; `close` it.

    Args:
        spec: of the job.
        local: the models of this machine that its grader may ask; None for none.
        window: what `window` was, when the job is resumed.

    Raises:
        TrainingFailed: the grader cannot be used.

    Attributes:
        compiled: the grader.
        window: of the last steps, how many rollouts the grader failed on, and how many there were.
    """

    def __init__(
        self, spec: JobSpec, local: LocalSource | None = None, window: Iterable[Sequence[int]] = ()
    ) -> None:
        try:
            settings = from_json(spec.settings.encode())
            judges = replace(settings.judge_settings(), local=local)
            self._engine = Engine.from_settings(replace(settings, judges=judges))
            self.compiled: CompiledGrader = self._engine.compile(spec.grader)
            _ = self.compiled.evaluator  # it reads graders.toml where there is a judge
        except (InvalidRequest, TypeError, ValueError) as error:
            raise TrainingFailed(
                "invalid_grader", str(error), "method.reinforcement.grader"
            ) from error
        self.window: deque[tuple[int, int]] = deque(((a, b) for a, b in window), maxlen=STEPS)

    def close(self) -> None:
        """Release what the engine holds."""
        self._engine.close()

    def grade(
        self, tally: Tally, step: int, split: Split, rows: Sequence[Row], samples: Sequence[Any]
    ) -> list[float | None]:
        """Grade samples of rows, and count them.

        Args:
            tally: of the step; what is found is added to it.
            step: its number.
            split: of which file the rows are.
            rows: one for each sample.
            samples: texts, or sample objects.

        Returns:
            The rewards; None for an outage, which is never a zero.

        Raises:
            TrainingFailed: a row lacks what the grader reads.
            TrainingPaused: a model that it asks is not here any more, or may not be used any more.
        """
        begun = perf_counter()
        given = [
            {"item": row.value, "model_sample" if isinstance(sample, str) else "sample": sample}
            for row, sample in zip(rows, samples, strict=True)
        ]
        try:
            outcomes = list(self._engine.score(self.compiled, given))
        except RunStopped as error:
            raise TrainingPaused(f"The grader cannot be used: {error.reason}") from error
        tally.seconds += perf_counter() - begun
        for row, sample, outcome in zip(rows, samples, outcomes, strict=True):
            tally.rollouts.append(_rollout(step, split, row, sample, outcome))
            _count(tally, outcome)
        tally.usage = total_usage([tally.usage, *(row.outcome.usage for row in outcomes)])
        return [outcome.counted for outcome in outcomes]

    def require_sense(self, tally: Tally) -> None:
        """Check that a step can be trained with; after all of its rollouts were graded.

        Raises:
            TrainingFailed: the grader failed on too many rollouts of the last steps.
            TrainingPaused: too many have no reward.
        """
        if tally.has_outage:
            raise TrainingPaused(tally.outage())
        self.window.append((tally.blames["grader"], len(tally.rollouts)))
        failed, all_of_them = (sum(counts) for counts in zip(*self.window, strict=True))
        if len(self.window) == STEPS and failed > MOST_ERRORS * all_of_them:
            raise TrainingFailed(
                "grader_failing",
                f"The grader failed on {failed} of the {all_of_them} rollouts of the last {STEPS} steps. One "
                f"of its errors: {tally.example}",
                "method.reinforcement.grader",
            )


def _rollout(step: int, split: Split, row: Row, sample: Any, outcome: RowOutcome) -> Rollout:
    if outcome.blame == "row":
        why = "; ".join(filter(None, outcome.flags.values())) or ", ".join(outcome.flags)
        raise bad_row(split, row.line, why)
    parts = dict(outcome.sub_rewards)
    served = [
        key for key, part in parts.items() if part is None and _blame_of(key, outcome) in SERVED
    ]
    return Rollout(
        step, split, row.line, row.value, sample, outcome.counted, parts, outcome.flags, served
    )  # fmt: skip


def _blame_of(key: str, outcome: RowOutcome) -> Blame | None:
    """Whose fault the failure of a part is; that of the whole, if nothing is known of the part."""
    own = [failure.blame for failure in outcome.outcome.failures if failure.grader == key]
    return max(own, key=BLAMES.index) if own else outcome.blame


def _count(tally: Tally, outcome: RowOutcome) -> None:
    for failure in outcome.outcome.failures:
        tally.errors[failure.grader, failure.flag.value] += 1
        if failure.blame == "grader" and not tally.example:
            tally.example = str(failure)
    for flag in outcome.sample_flags:
        tally.errors["", flag.value] += 1
    if outcome.blame is not None:
        tally.blames[outcome.blame] += 1


def mean(numbers: Iterable[float | None]) -> float | None:
    """The mean of those that there are; None if there are none."""
    found = [number for number in numbers if number is not None]
    return math.fsum(found) / len(found) if found else None
