"""Trains with TRL: supervised, dpo and reinforcement."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from graders_engine.training import base_model, trl_setup
from graders_engine.training.answers import FORMAT, grammar_for
from graders_engine.training.bound import BindingFailed, bind
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


class TRLTrainer:
    """The trainer that ships."""

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
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a base model is a folder
    parameters = base_model.parameters_of(Path(spec.model_path))
    rows = _rows_of(spec)
    base_model.set_threads(parameters)
    with ExitStack() as stack:
        output = stack.enter_context(tempfile.TemporaryDirectory(prefix="graders-train-"))
        memory = {} if resumed is None else memory_of(resumed.folder)
        run, trainer = _prepared(spec, rows, report, memory, stack, output)
        run.kept_step = 0 if resumed is None else resumed.step
        report.plan(_plan(run, trainer, len(rows["train"]), parameters))
        _warn_of_versions(memory, report)
        _train(run, trainer, resumed)


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


def _prepared(
    spec: JobSpec,
    rows: dict[Split, list[Row]],
    report: Report,
    memory: dict[str, Any],
    stack: ExitStack,
    output: str,
) -> tuple[Run, Any]:
    """The run of a job, and the trainer of TRL that it listens to."""
    chat = Chat(base_model.load_tokenizer(spec.model_path), trl_setup.template_options(spec))
    grammar = grammar_for(chat.tokenizer, spec.response_format)
    most = base_model.room_of(spec.model_path)
    if spec.method == "reinforcement":
        most = _room_for_prompts(most, spec.max_completion_tokens)
    convert = _CONVERTED[spec.method]
    ready = {
        split: converted(found, split, lambda row: convert(chat, row, most))
        for split, found in rows.items()
    }
    schedule = schedule_of(spec, len(rows["train"]))
    tokens = [row.tokens for row in ready["train"]]
    run: Run
    if spec.method == "reinforcement":
        rewards = Rewards(spec, report.local, memory.get("window", ()))
        stack.callback(rewards.close)
        tokenizer = reads_calls(base_model.load_tokenizer(spec.model_path))
        run = RolloutRun(
            spec, schedule, report, tokens, memory, rewards=rewards, rows=rows, chat=chat,
            tokenizer=tokenizer,
        )  # fmt: skip
    else:
        run = Run(spec, schedule, report, tokens, memory)
    trainer = trl_setup.trainer_of(spec, schedule, chat, ready, run, output)
    if grammar is not None:
        bind(trainer.model, chat.tokenizer, grammar)
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
    if run.paused:
        raise TrainingPaused(run.paused)
