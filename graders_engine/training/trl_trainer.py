"""Trains with TRL: supervised, dpo and reinforcement."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from graders_engine.training import base_model, trl_setup
from graders_engine.training.answers import FORMAT, grammar_for, require_calls
from graders_engine.training.bound import BindingFailed
from graders_engine.training.chat import Chat
from graders_engine.training.reward import Rewards
from graders_engine.training.rollout_run import RolloutRun
from graders_engine.training.rows import Row, Split, converted, labelled, pair, prompt_of, read_rows
from graders_engine.training.run import Run, memory_of, state_of, versions
from graders_engine.training.samples import reads_calls
from graders_engine.training.schedule import Schedule, schedule_of
from graders_engine.training.trainer import (
    JobSpec,
    Plan,
    Report,
    Resumed,
    TrainingFailed,
    TrainingPaused,
)
from graders_engine.training.wandb_report import WandbReport

_CONVERTED: dict[str, Callable[[Chat, dict[str, Any], int], Any]] = {
    "supervised": labelled,
    "dpo": pair,
    "reinforcement": prompt_of,
}

_NO_PROBABILITIES = "probability tensor contains"
"""Torch, when it is to sample with weights that are no numbers any more."""


class TRLTrainer:
    """The trainer that ships."""

    def check(self, spec: JobSpec) -> None:
        """See whether the model's tokenizer and template take the rows. Loads no weights.

        Raises:
            TrainingFailed: they do not; or there is no such tokenizer.
        """
        _stay_offline()
        _Ready(spec)

    def train(self, spec: JobSpec, resumed: Resumed | None, report: Report) -> None:
        """Train until all steps are done, or `report.wanted` was honoured.

        Raises:
            TrainingFailed: the job cannot be done.
            TrainingPaused: it cannot be done now.
        """
        with ExitStack() as stack:
            if spec.wandb is not None and base_model.is_first_process():
                report = stack.enter_context(WandbReport(spec, report))
            _train_with(spec, resumed, report)


def _train_with(spec: JobSpec, resumed: Resumed | None, report: Report) -> None:
    _stay_offline()
    parameters = base_model.parameters_of(Path(spec.model_path))
    base_model.set_threads(parameters)
    with ExitStack() as stack:
        output = stack.enter_context(tempfile.TemporaryDirectory(prefix="graders-train-"))
        memory = {} if resumed is None else memory_of(resumed.folder)
        ready = _Ready(spec)
        run, trainer = _prepared(spec, ready, report, memory, stack, output)
        run.kept_step = 0 if resumed is None else resumed.step
        report.plan(_plan(run, trainer, len(ready.rows["train"]), parameters))
        _warn_of_versions(memory, report)
        _train(run, trainer, resumed)


def _stay_offline() -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a base model is a folder


def _rows_of(spec: JobSpec) -> dict[Split, list[Row]]:
    found: dict[Split, list[Row]] = {"train": read_rows(spec.training_file, "train")}
    if spec.validation_file is not None:
        found["valid"] = read_rows(spec.validation_file, "valid")
    return found


def _room_for_prompts(context: int, completion: int) -> int:
    if completion >= context:
        raise TrainingFailed(
            "invalid_value",
            f"The model reads {context} tokens, and its answers may have {completion}, so that there is no "
            "room for a prompt: give it a smaller max_completion_tokens in graders.toml, [base_models].",
            "model",
        )
    return context - completion


class _Ready:
    """The rows of a job as its model reads them.

    Args:
        spec: of the job.

    Attributes:
        rows: as the files have them.
        converted: as the method trains with them.
        chat: of the model.
        grammar: of the answers that the job wants; None for any text.

    Raises:
        TrainingFailed: the model's tokenizer or template does not take them, or answers cannot be bound.
    """

    def __init__(self, spec: JobSpec) -> None:
        self.rows = _rows_of(spec)
        self.chat = Chat(
            base_model.load_tokenizer(spec.model_path), trl_setup.template_options(spec)
        )
        self.grammar = grammar_for(self.chat.tokenizer, spec.response_format)
        if spec.names_calls:
            require_calls(base_model.load_tokenizer(spec.model_path))
        most = base_model.room_of(spec.model_path)
        if spec.method == "reinforcement":
            most = _room_for_prompts(most, spec.max_completion_tokens)
        convert = _CONVERTED[spec.method]
        self.converted = {
            split: converted(found, split, lambda row: convert(self.chat, row, most))
            for split, found in self.rows.items()
        }


def _prepared(
    spec: JobSpec,
    ready: _Ready,
    report: Report,
    memory: dict[str, Any],
    stack: ExitStack,
    output: str,
) -> tuple[Run, Any]:
    """The run of a job, and the trainer of TRL that it listens to."""
    schedule = schedule_of(spec, len(ready.rows["train"]))
    tokens = [row.tokens for row in ready.converted["train"]]
    run: Run
    if spec.method == "reinforcement":
        rewards = Rewards(spec, report.local, memory.get("window", ()))
        stack.callback(rewards.close)
        tokenizer = reads_calls(base_model.load_tokenizer(spec.model_path))
        run = RolloutRun(
            spec, schedule, report, tokens, memory, rewards=rewards, rows=ready.rows,
            chat=ready.chat, tokenizer=tokenizer,
        )  # fmt: skip
    else:
        run = Run(spec, schedule, report, tokens, memory)
    trainer = trl_setup.trainer_of(
        spec, schedule, ready.chat, ready.converted, run, output, ready.grammar
    )
    run.attach(trainer)
    # Not the one that trains: that one drops marks.
    run.save_tokenizer = base_model.load_tokenizer(spec.model_path).save_pretrained
    return run, trainer


def _plan(run: Run, trainer: Any, rows: int, parameters: int) -> Plan:
    schedule: Schedule = run.schedule
    rollouts = schedule.batch_size * schedule.group
    return Plan(
        schedule.total_steps,
        rows,
        trainer.args.device.type,
        parameters,
        rollouts if run.spec.method == "reinforcement" else None,
    )


def _warn_of_versions(memory: dict[str, Any], report: Report) -> None:
    before, now = memory.get("versions"), versions()
    if before and before != now:
        changed = [
            f"{name} {before.get(name)} -> {now[name]}"
            for name in now
            if now[name] != before.get(name)
        ]
        report.warn(
            f"The job began with other versions, so its numbers may differ: {', '.join(changed)}.",
            {"before": before, "now": now},
        )


def _train(run: Run, trainer: Any, resumed: Resumed | None) -> None:
    import torch

    try:
        trainer.train(resume_from_checkpoint=str(state_of(resumed.folder)) if resumed else None)
    except TrainingPaused:
        run.keep_what_was_trained()
        raise
    except BindingFailed as error:
        raise TrainingFailed("response_format_not_available", str(error), FORMAT) from error
    except torch.OutOfMemoryError as error:
        raise TrainingFailed(
            "model_too_large",
            "The memory of the GPU is too small for this model with these settings: a smaller model, LoRA or "
            "fewer tokens a completion need less.",
            "model",
        ) from error
    except RuntimeError as error:
        if _NO_PROBABILITIES not in str(error):
            raise
        raise run.diverged("probabilities of the next token") from error
    if run.paused:
        raise TrainingPaused(run.paused)
