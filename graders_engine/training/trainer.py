"""The port between a job's worker and what trains: what each is given, and what each may raise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

Method = Literal["supervised", "dpo", "reinforcement"]
Wanted = Literal["", "paused", "cancelled"]
Split = Literal["train", "valid"]


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What a trainer is given; `spec.json` in the job's folder is this as JSON (msgspec.json both ways).

    Attributes:
        id: of the job.
        method: how it trains.
        model_path: a folder with safetensors and a tokenizer.
        lora: as {"r": 16, "alpha": 32}; all weights are trained where it is None.
        learning_rate: of the first step, already multiplied.
        max_completion_tokens: the most tokens of a completion that is sampled.
        training_file: path of a JSONL file.
        validation_file: path of another; without one nothing is validated.
        hyperparameters: all resolved, none "auto".
        seed: of the order of rows, of sampling and of new weights.
        grader: of a reinforcement job.
        settings: of the engine that grades, as `settings_json.as_json` writes them.
        wandb: `project`, and where they were given `entity`, `name` and `tags`.
        accelerate: path of a configuration of `accelerate launch`; one process without it.
    """

    id: str
    method: Method
    model_path: str
    lora: dict[str, int] | None
    learning_rate: float
    max_completion_tokens: int
    training_file: str
    validation_file: str | None
    hyperparameters: dict[str, int | float | str]
    seed: int
    grader: dict[str, Any] | None = None
    settings: str = "{}"
    wandb: dict[str, Any] | None = None
    accelerate: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job will do, known before its first step.

    Attributes:
        total_steps: how many steps there are.
        rows: of the training file.
        device: as "cpu", "cuda", "mps".
        parameters: of the model.
        rollouts_per_step: completions that are graded in a step of a reinforcement job.
    """

    total_steps: int
    rows: int
    device: str
    parameters: int
    rollouts_per_step: int | None


@dataclass(frozen=True, slots=True)
class StepReport:
    """A step that was trained.

    Attributes:
        step: its number, from 1.
        train: numbers of the step by name: `loss`, `token_accuracy`, `reward_mean`; only what the method has.
        valid: the same of the validation file; empty unless this step validated.
        trained_tokens: so far, without those of evaluations.
        data: what a metrics event says beside them; what the API does not know is under "local".
    """

    step: int
    train: dict[str, float]
    valid: dict[str, float]
    trained_tokens: int
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rollout:
    """A completion that was sampled and graded.

    Attributes:
        step: the number of the step.
        split: of which file its row is.
        row: the number of its line, from 1.
        item: the row.
        sample: the text, or a sample object where it calls tools.
        reward: what was trained with; None for an outage, which is never a zero.
        sub_rewards: of a multi's parts, by key.
        flags: what went wrong, with details.
    """

    step: int
    split: Split
    row: int
    item: Any
    sample: Any
    reward: float | None
    sub_rewards: dict[str, float | None]
    flags: dict[str, str]


@dataclass(frozen=True, slots=True)
class Resumed:
    """The checkpoint from which a job is resumed: its step and its folder."""

    step: int
    folder: Path


class Report(Protocol):
    """What a trainer tells while it trains; every method may raise `Stopped`, which the trainer lets pass."""

    @property
    def wanted(self) -> Wanted:
        """Looked at after each step: "paused" makes a checkpoint and ends, "cancelled" ends at once."""
        ...

    def plan(self, plan: Plan) -> None:
        """Tell what will be done, before the first step."""
        ...

    def warn(self, message: str, data: dict[str, Any] | None = None) -> None:
        """Tell people something that they may want to act on."""
        ...

    def rollouts(self, found: Sequence[Rollout]) -> None:
        """Keep completions; before the `step` that they belong to."""
        ...

    def step(self, report: StepReport) -> None:
        """Tell of a step that was trained; a replayed one has the same numbers."""
        ...

    def checkpoint(
        self, step: int, write: Callable[[Path], None], valid: dict[str, float], *, final: bool
    ) -> None:
        """Keep the weights of a step.

        Args:
            step: the number of the step, after its `step`.
            write: puts the model into `model` of the folder it is given, what a resume needs into `state`.
            valid: of the validation file, where this step validated.
            final: whether it is the last step.
        """
        ...


class Trainer(Protocol):
    """What trains."""

    def train(self, spec: JobSpec, resumed: Resumed | None, report: Report) -> None:
        """Train until all steps are done, or `report.wanted` was honoured.

        Raises:
            TrainingFailed: the job cannot be done.
            TrainingPaused: it cannot be done now.
        """
        ...


class Stopped(BaseException):
    """The job is no longer this worker's: raised by a report, to end the trainer where it is."""


class TrainingFailed(Exception):
    """A job fails with this.

    Attributes:
        code: a word for programs.
        message: a sentence for people.
        param: what of the request is at fault.
    """

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param


class TrainingPaused(Exception):
    """A job pauses: an outage of its grader, a full disk.

    Attributes:
        reason: a sentence for people.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
