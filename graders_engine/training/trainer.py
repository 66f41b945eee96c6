"""The port between a job's worker and what trains: `Trainer` trains, `Report` is what it tells the worker."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from graders_engine.models.local.source import LocalSource

Method = Literal["supervised", "dpo", "reinforcement"]
Wanted = Literal["", "paused", "cancelled"]


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What a trainer is given; `spec.json` in the job's folder is this as JSON.

    Attributes:
        id: of the job.
        method: how it trains.
        model_path: a folder with safetensors and a tokenizer.
        lora: `r` and `alpha`; None to train all weights.
        learning_rate: with the multiplier in it.
        max_completion_tokens: of each answer that is sampled.
        training_file: path of a JSONL file.
        validation_file: path of a JSONL file; None without one.
        hyperparameters: all resolved, none is `auto`.
        seed: of all random numbers.
        grader: of a reinforcement job.
        response_format: of a reinforcement job, as it is on the wire; None for text.
        names_calls: whether its grader reads the calls of tools.
        settings: of the engine that grades, as JSON of `settings_json.as_json`. The worker fills it in: it
            may hold keys, which `spec.json` must not.
        wandb: the integration, as it is on the wire; None without one.
        accelerate: path of a configuration of `accelerate launch`; None for one process.
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
    response_format: dict[str, Any] | None = None
    names_calls: bool = False
    settings: str = "{}"
    wandb: dict[str, Any] | None = None
    accelerate: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a trainer is about to do.

    Attributes:
        total_steps: of the whole job, also when it is resumed.
        rows: of the training file.
        device: such as `cuda` or `cpu`.
        parameters: of the model.
        rollouts_per_step: of a reinforcement job; else None.
    """

    total_steps: int
    rows: int
    device: str
    parameters: int
    rollouts_per_step: int | None


@dataclass(frozen=True, slots=True)
class StepReport:
    """What a step has brought.

    Attributes:
        step: from 1.
        train: by name, such as `loss`, `token_accuracy` and `reward_mean`; only what the method has.
        valid: the same of the validation rows; empty unless this step validated.
        trained_tokens: since the job began, without those of validation.
        data: usage, errors by flag, scores by sub-grader and timing as metrics events have them; what is
            ours stands under `local`.
    """

    step: int
    train: dict[str, float]
    valid: dict[str, float]
    trained_tokens: int
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rollout:
    """An answer that was sampled, and what the grader gave it.

    Attributes:
        step: in which it was sampled.
        split: of which file its row is.
        row: the number of the row's line, from 1.
        item: the row.
        sample: the text of the answer, or a sample object where it has tool calls.
        reward: None when there is none: an outage is never a zero.
        sub_rewards: by name of the sub-grader.
        flags: what went wrong, by name of the flag.
        served_parts: the sub-graders that failed by the sample or the grader: each counts as 0.0 in its mean.
    """

    step: int
    split: Literal["train", "valid"]
    row: int
    item: Any
    sample: Any
    reward: float | None
    sub_rewards: dict[str, float | None]
    flags: dict[str, str]
    served_parts: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Resumed:
    """The checkpoint from which a trainer takes the job up again.

    Attributes:
        step: the last one that is in it.
        folder: with what `write` has put there.
    """

    step: int
    folder: Path


class Report(Protocol):
    """What a trainer tells while it trains; every method may raise `Stopped`, which the trainer lets pass."""

    @property
    def wanted(self) -> Wanted:
        """What somebody asks of the job. Look after each step; then call `checkpoint`, and return.

        Of several processes that train one job, the first one looks, and the trainer tells the others.
        """
        ...

    @property
    def local(self) -> LocalSource | None:
        """The models of this machine that the job's grader may ask; None for none."""
        ...

    def plan(self, plan: Plan) -> None:
        """Say what is about to be done, before the first step; also when the job is resumed."""
        ...

    def warn(self, message: str, data: dict[str, Any] | None = None) -> None:
        """Say something that people should know. The same message is kept once."""
        ...

    def rollouts(self, found: Sequence[Rollout]) -> None:
        """Keep what was sampled in a step, before its `step`; it may be called several times."""
        ...

    def step(self, report: StepReport) -> None:
        """Say what a step has brought."""
        ...

    def checkpoint(
        self, step: int, write: Callable[[Path], None], valid: dict[str, float], *, final: bool
    ) -> None:
        """Keep the weights as they are after a step.

        Args:
            step: whose `step` was called already.
            write: puts the model into `model` of the folder that it is given, and what a resume needs into
                `state`.
            valid: as the step's; empty if it did not validate.
            final: whether all steps are done.
        """
        ...


class Trainer(Protocol):
    """Something that trains. The worker makes it by calling its class without arguments."""

    def check(self, spec: JobSpec) -> None:
        """See whether a job can be trained, as far as its model's tokenizer can say; before it is queued.

        Raises:
            TrainingFailed: it cannot, such as for rows that are too long.
        """
        ...

    def train(self, spec: JobSpec, resumed: Resumed | None, report: Report) -> None:
        """Train from the beginning or from a checkpoint on.

        It returns when all steps are done and the final checkpoint is kept, or when `report.wanted` was
        obeyed by a checkpoint.

        Raises:
            TrainingFailed: the job cannot be done.
            TrainingPaused: it can be done later.
            Stopped: as raised by the report.
        """
        ...


class TrainingFailed(Exception):
    """Raised when a job cannot be done, also not by another attempt.

    Attributes:
        code: a short word for programs.
        message: what is wrong, and what to do.
        param: of the request, if one is to blame.
    """

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        self.code, self.message, self.param = code, message, param
        super().__init__(message)


class TrainingPaused(Exception):
    """Raised when a job has to wait for people: a grader's outage above the limit, a full disk.

    What was trained since the last checkpoint is done once more when the job is resumed.

    Attributes:
        reason: a sentence.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Stopped(Exception):
    """Raised by a report when the training has to end at once; the worker knows why."""
