"""A job while TRL trains it: what its callbacks tell of each step, and how its state is kept."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from graders_engine.training.random_state import random_state, set_random_state
from graders_engine.training.schedule import Schedule
from graders_engine.training.trainer import JobSpec, Report, StepReport, TrainingFailed

_NAMES = {
    "loss": "loss",
    "mean_token_accuracy": "token_accuracy",
    "rewards/accuracies": "preference_accuracy",
    "rewards/margins": "preference_margin",
}
"""TRL's name of a number, and ours; the reward of a reinforcement job is counted from its rollouts."""
_LOCAL = (
    "entropy",
    "grad_norm",
    "learning_rate",
    "frac_reward_zero_std",
    "completions/clipped_ratio",
)
_STATE = "state"
_MEMORY = "memory.json"


class Run:
    """What a job's callbacks do; those of rollouts are in `RolloutRun`.

    Args:
        spec: of the job.
        schedule: of its steps.
        report: to whom it tells.
        tokens: of the rows, by position.
        memory: what `memory` gave at the checkpoint that the job is resumed from.

    Attributes:
        trainer: TRL's; set before it trains.
        paused: why the job pauses when the step has ended; empty if it does not.
        trained_tokens: so far.
        kept_step: the step of the newest checkpoint; 0 without one.
        save_tokenizer: writes the model's tokenizer into a folder.
    """

    def __init__(
        self,
        spec: JobSpec,
        schedule: Schedule,
        report: Report,
        tokens: list[int],
        memory: Mapping[str, Any],
    ) -> None:
        self.spec, self.schedule, self.report = spec, schedule, report
        self._tokens = tokens
        self.trainer: Any = None
        self.paused = ""
        self.trained_tokens = int(memory.get("trained_tokens", 0))
        self.kept_step = 0
        self._train: dict[str, Any] = {}
        self._valid: dict[str, Any] = {}
        self._valid_of_step: dict[str, float] = {}
        self._random: Any = None
        self._seconds: dict[str, float] = {}
        self._begun = self._trained = 0.0
        self._save: Any = None
        self.save_tokenizer: Callable[[Path], object] = lambda folder: None

    def attach(self, trainer: Any) -> None:
        """Listen to a trainer of TRL, and keep checkpoints in its place."""
        from transformers import Trainer

        self.trainer = trainer
        trainer.add_callback(_hooks(self))
        # Not TRL's own, which adds a model card.
        self._save = partial(Trainer._save_checkpoint, trainer)
        trainer._save_checkpoint = lambda model, trial: self.keep()

    # What the callbacks of TRL call, in this order.

    def step_begun(self) -> None:
        """A step begins: here a pause may come back to."""
        self._random = random_state()
        self._begun = monotonic()

    def step_ended(self, control: Any) -> None:
        """A step was trained; decides what follows it."""
        step = self.trainer.state.global_step
        self._trained = monotonic()
        self.trained_tokens += self.tokens_of(step)
        self._train, self._valid = {}, {}
        control.should_log = True
        kept = step in self.schedule.kept
        control.should_evaluate = kept and self.trainer.eval_dataset is not None
        control.should_save = kept

    def logged(self, logs: Mapping[str, Any], control: Any) -> None:
        """The numbers of the step that was trained, or of the evaluation behind it."""
        valid = {
            name.removeprefix("eval_"): number
            for name, number in logs.items()
            if name.startswith("eval_")
        }
        if valid:
            self._valid |= valid
        elif "loss" in logs:
            self._train = dict(logs)
            self._require_finite()
            if not control.should_evaluate:
                self._tell(control)

    def evaluated(self, control: Any) -> None:
        """The evaluation is done; the step is complete."""
        self._tell(control)

    # What they tell.

    def tokens_of(self, step: int) -> int:
        """The tokens that a step trained with."""
        size = self.schedule.batch_size
        return sum(
            self._tokens[position]
            for position in self.schedule.order[(step - 1) * size : step * size]
        )

    def numbers(self, logs: Mapping[str, Any]) -> dict[str, float]:
        """The numbers of a step or an evaluation by their names in a `StepReport`."""
        return {
            ours: float(logs[name])
            for name, ours in _NAMES.items()
            if name in logs and math.isfinite(logs[name])
        }

    def data(self, seconds: Mapping[str, float], local: Mapping[str, float]) -> dict[str, Any]:
        """What the metrics event says beside the numbers."""
        return {"timing": {"step": dict(seconds)}, "local": dict(local)}

    def valid_numbers(self, logs: Mapping[str, Any]) -> dict[str, float]:
        """The numbers of an evaluation."""
        return self.numbers(logs)

    def _tell(self, control: Any) -> None:
        step, now = self.trainer.state.global_step, monotonic()
        seconds = {
            **self._seconds,
            "training": self._trained - self._begun - sum(self._seconds.values()),
            "eval": now - self._trained if self._valid else 0.0,
            "full_iteration": now - self._begun,
        }
        local = {
            name.rpartition("/")[2].replace("frac_reward_zero_std", "frac_zero_std"): float(number)
            for name in _LOCAL
            if (number := self._train.get(name)) is not None and math.isfinite(number)
        }
        self._valid_of_step = self.valid_numbers(self._valid) if self._valid else {}
        self.send(
            StepReport(
                step,
                self.numbers(self._train),
                self._valid_of_step,
                self.trained_tokens,
                self.data(seconds, local),
            )
        )
        self._seconds = {}
        if step < self.schedule.total_steps:
            self._obey(control)

    def _obey(self, control: Any) -> None:
        """End behind this step if that is wanted, with a checkpoint; all processes do the same."""
        wanted = _of_first_process(self.report.wanted)
        if wanted or self.paused:
            control.should_training_stop = True
            control.should_save = wanted != "cancelled"

    def send(self, report: StepReport) -> None:
        """Tell of a step."""
        self.report.step(report)

    def part_took(self, part: str, seconds: float) -> None:
        """Count the time of a part of the step before its training."""
        self._seconds[part] = self._seconds.get(part, 0.0) + seconds

    @property
    def since_begun(self) -> float:
        """Seconds since the step began."""
        return monotonic() - self._begun

    def _require_finite(self) -> None:
        broken = [
            name for name in ("loss", "grad_norm") if not math.isfinite(self._train.get(name, 0))
        ]
        if broken:
            raise self.diverged(broken[0])

    def diverged(self, what: str) -> TrainingFailed:
        """What a job fails with that has weights which are no numbers any more.

        Args:
            what: is not finite.
        """
        return TrainingFailed(
            "training_diverged",
            f"After step {self.trainer.state.global_step} there is no finite {what}: a smaller "
            "learning_rate_multiplier may help. The checkpoints made before it are kept.",
        )

    # How its state is kept.

    def memory(self) -> dict[str, Any]:
        """What a resumed job needs to know beside TRL's state."""
        return {"trained_tokens": self.trained_tokens, "versions": versions()}

    def keep(self) -> None:
        """Make a checkpoint of the step that the trainer has done last."""
        step = self.trainer.state.global_step
        self.kept_step = step
        if self.trainer.is_world_process_zero():
            final = step >= self.schedule.total_steps
            try:
                self.report.checkpoint(step, self._write, self._valid_of_step, final=final)
            finally:
                _of_first_process("")
        else:
            while folder := _of_first_process(""):
                self._write_into(Path(folder))
        self._valid_of_step = {}

    def keep_what_was_trained(self) -> None:
        """Make a checkpoint of the last whole step, in the middle of the one behind it."""
        if self.trainer.state.global_step == self.kept_step or self._random is None:
            return
        set_random_state(self._random)
        self._valid_of_step = {}
        self.keep()

    def _write(self, folder: Path) -> None:
        _of_first_process(str(folder))  # the others are waiting: they write their parts
        try:
            self._write_into(folder)
        except Exception as error:
            if shutil.disk_usage(folder).free < 1 << 20:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            raise

    def _write_into(self, folder: Path) -> None:
        arguments, usual = self.trainer.args, self.trainer.args.output_dir
        made = folder / f"checkpoint-{self.trainer.state.global_step}"
        arguments.output_dir = str(folder)
        try:
            self._save(self.trainer.model, None)
        finally:
            arguments.output_dir = usual
        self.trainer.accelerator.wait_for_everyone()
        if not self.trainer.is_world_process_zero():
            return
        state, model = folder / _STATE, folder / "model"
        made.rename(state)
        (state / "training_args.bin").unlink(missing_ok=True)  # a pickle that nothing reads
        (state / _MEMORY).write_text(json.dumps(self.memory()), encoding="utf-8")
        model.mkdir()
        for path in state.iterdir():
            if path.suffix == ".safetensors" or path.name in _OF_A_MODEL:
                _linked(path, model / path.name)
        self.save_tokenizer(model)


_OF_A_MODEL = (
    "config.json", "generation_config.json", "adapter_config.json", "model.safetensors.index.json",
)  # fmt: skip


def state_of(folder: Path) -> Path:
    """Where a checkpoint has the state of TRL."""
    return folder / _STATE


def memory_of(folder: Path) -> dict[str, Any]:
    """What `Run.memory` gave when a checkpoint was made."""
    found: dict[str, Any] = json.loads((folder / _STATE / _MEMORY).read_text(encoding="utf-8"))
    return found


def versions() -> dict[str, str]:
    """What the numbers of a job depend on beside its spec."""
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "transformers", "trl", "peft", "accelerate")}


def _of_first_process(value: str) -> str:
    """What the first of the job's processes has: all of them call this at the same time."""
    from accelerate.utils import broadcast_object_list

    found = [value]
    broadcast_object_list(found)
    return found[0]


def _linked(path: Path, to: Path) -> None:
    """A second name for a file, so that it takes no further room; a copy where there is no such thing."""
    try:
        os.link(path, to)
    except OSError:
        shutil.copyfile(path, to)


def _hooks(run: Run) -> Any:
    """The callbacks of TRL that call a run."""
    from transformers import TrainerCallback

    class Hooks(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            run.step_begun()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            run.step_ended(control)

        def on_log(
            self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any
        ) -> None:
            run.logged(logs or {}, control)

        def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            run.evaluated(control)

    return Hooks()
