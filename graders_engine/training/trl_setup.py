"""The trainers of TRL, with a job's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graders_engine.training import base_model
from graders_engine.training.bound import bind
from graders_engine.training.bound_probabilities import with_bound_probabilities
from graders_engine.training.chat import Chat
from graders_engine.training.rows import Labelled, Pair, Split
from graders_engine.training.run import Run
from graders_engine.training.schedule import Schedule, largest_part
from graders_engine.training.trainer import JobSpec, TrainingFailed
from graders_engine.training.weighted_means import (
    answer_tokens,
    chosen_tokens,
    with_weighted_means,
)

_LARGE = 300_000_000
"""Larger models compute their inner numbers twice rather than keep them."""
_EFFORT = "reasoning_effort"


def template_options(spec: JobSpec) -> dict[str, Any]:
    """What a chat template is given beside messages and tools."""
    effort = spec.hyperparameters.get(_EFFORT, "default")
    return {} if effort == "default" else {_EFFORT: effort}


def trainer_of(
    spec: JobSpec,
    schedule: Schedule,
    chat: Chat,
    ready: dict[Split, list[Any]],
    run: Run,
    output: str,
    grammar: str | None = None,
) -> Any:
    """The trainer of a job's method.

    Args:
        spec: of the job.
        schedule: of its steps.
        chat: of its model.
        ready: what it trains with, in the order of the files.
        run: the reward of a reinforcement job.
        output: a folder for what TRL may write.
        grammar: that answers are bound to; None for any text.
    """
    from datasets import Dataset, disable_progress_bars
    from transformers import set_seed

    disable_progress_bars()
    set_seed(spec.seed)
    given = {
        "args": None,
        "train_dataset": Dataset.from_list(_columns(ready["train"])).select(schedule.order),
        "eval_dataset": Dataset.from_list(_columns(ready["valid"])) if "valid" in ready else None,
        "processing_class": chat.tokenizer,
        "peft_config": _adapters(spec),
    }
    usual = _usual(spec, schedule, output)
    longest = max(row.tokens for rows in ready.values() for row in rows)
    if spec.method == "supervised":
        return _supervised(spec, given, {**usual, **_batches(schedule.batch_size, longest, chat)})
    if spec.method == "dpo":
        return _dpo(spec, given, {**usual, **_batches(schedule.batch_size, longest, chat)})
    sizes = _batches(
        schedule.batch_size * schedule.group, longest + spec.max_completion_tokens, chat
    )
    trainer = _reinforcement(spec, schedule, given, {**usual, **sizes}, run, grammar)
    if grammar is not None:
        bind(trainer.model, chat.tokenizer, grammar)
    return trainer


def _columns(rows: list[Any]) -> list[dict[str, Any]]:
    """Rows as a data set's. Not their contents: Arrow would give a column one type."""
    if isinstance(rows[0], Labelled):
        return [{"input_ids": row.input_ids, "labels": row.labels} for row in rows]
    if isinstance(rows[0], Pair):
        return [
            {"prompt": row.prompt, "chosen": row.chosen, "rejected": row.rejected} for row in rows
        ]
    return [{"prompt": row.prompt, "row": position} for position, row in enumerate(rows)]


def _usual(spec: JobSpec, schedule: Schedule, output: str) -> dict[str, Any]:
    """The settings that all methods share."""
    import torch

    parameters = base_model.parameters_of(Path(spec.model_path))
    return {
        "output_dir": output,
        "seed": spec.seed,
        "max_steps": schedule.total_steps,
        "learning_rate": spec.learning_rate,
        "lr_scheduler_type": "linear",
        "bf16": torch.cuda.is_available(),
        "use_cpu": not (torch.cuda.is_available() or torch.backends.mps.is_available()),
        "gradient_checkpointing": parameters > _LARGE,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # a job without a finite loss fails
        "save_strategy": "no",
        "eval_strategy": "no",  # the run's schedule decides
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_pin_memory": torch.cuda.is_available(),
    }


def _batches(rows: int, tokens: int, chat: Chat) -> dict[str, int]:
    """How the rows of a step are shared out, by the memory there is."""
    processes = base_model.processes()
    if rows % processes:
        raise TrainingFailed(
            "invalid_value",
            f"A step has {rows} rows, which {processes} processes cannot share: change batch_size.",
            "batch_size",
        )
    share = rows // processes
    at_once = largest_part(share, base_model.rows_at_once(tokens, len(chat.tokenizer)))
    return {
        "per_device_train_batch_size": at_once,
        "gradient_accumulation_steps": share // at_once,
        "per_device_eval_batch_size": at_once,
    }


def _adapters(spec: JobSpec) -> Any:
    if spec.lora is None:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=spec.lora["r"],
        lora_alpha=spec.lora["alpha"],
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def _supervised(spec: JobSpec, given: dict[str, Any], settings: dict[str, Any]) -> Any:
    from trl import SFTConfig, SFTTrainer

    settings |= {
        "max_length": None,
        "packing": False,
        "train_sampling_strategy": "sequential",
        "dataset_kwargs": {"skip_prepare_dataset": True},
    }
    weighted = with_weighted_means(SFTTrainer, answer_tokens, loss_of_tokens=True)
    return weighted(base_model.load_model(spec), **{**given, "args": SFTConfig(**settings)})


def _dpo(spec: JobSpec, given: dict[str, Any], settings: dict[str, Any]) -> Any:
    from trl import DPOConfig, DPOTrainer

    settings |= {
        "max_length": None,
        "train_sampling_strategy": "sequential",
        "beta": float(spec.hyperparameters.get("beta", 0.1)),
        "model_init_kwargs": base_model.weights_settings(spec),
    }
    # A folder's name: the model that it is compared with is loaded from there again.
    arguments = DPOConfig(**settings)
    with base_model.reading_weights():
        weighted = with_weighted_means(DPOTrainer, chosen_tokens, loss_of_tokens=False)
        return weighted(spec.model_path, **{**given, "args": arguments})


def _reinforcement(
    spec: JobSpec,
    schedule: Schedule,
    given: dict[str, Any],
    settings: dict[str, Any],
    run: Run,
    grammar: str | None,
) -> Any:
    from trl import GRPOConfig, GRPOTrainer

    trainer = GRPOTrainer
    if grammar is not None:
        trainer = with_bound_probabilities(GRPOTrainer, given["processing_class"], grammar)
    at_once = settings["per_device_eval_batch_size"]
    settings |= {
        "num_generations": schedule.group,
        "num_generations_eval": schedule.samples,
        "per_device_eval_batch_size": schedule.samples * max(1, at_once // schedule.samples),
        "max_completion_length": spec.max_completion_tokens,
        "beta": 0.0,
        "shuffle_dataset": False,
    }
    return trainer(base_model.load_model(spec), run, **{**given, "args": GRPOConfig(**settings)})
