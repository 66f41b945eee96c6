"""The tables `base_models` and `training`: which models a fine-tuning job may name, and how it is run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from graders_engine.home import expanded
from graders_engine.models.tables.fields import fields_of_table, read_record, read_records

Method = Literal["supervised", "dpo", "reinforcement"]
METHODS: tuple[Method, ...] = get_args(Method)
"""The methods of fine-tuning."""
_LORA = ("r", "alpha")


@dataclass(frozen=True, slots=True)
class BaseModel:
    """An entry of the table `base_models`: a model that fine-tuning jobs may name.

    Attributes:
        path: its folder, with safetensors and a tokenizer; a path in the file counts from the file's folder.
        hub: its name at the Hugging Face Hub, from where it is downloaded when it is first used. Either this
            or `path` is given.
        revision: which version of it; empty for the newest.
        lora: whether adapters are trained in place of all weights: true, false, or `{r, alpha}`; None leaves
            it to the size of the model.
        learning_rate: what a multiplier of 1 means; None for the usual one of the method.
        max_completion_tokens: the longest answer that is sampled in training.
        methods: those that may train it.
    """

    path: str = ""
    hub: str = ""
    revision: str = ""
    lora: bool | Mapping[str, int] | None = None
    learning_rate: float | None = None
    max_completion_tokens: int = 512
    methods: Sequence[Method] = METHODS


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """The table `training`: how fine-tuning jobs are run.

    Attributes:
        jobs: how many train at a time.
        max_hours: a job that trains longer is paused.
        accelerate: the file of `accelerate config` for several GPUs or machines; empty without one.
        python: the Python that has the packages of the extra `train`; empty for the server's own.
    """

    jobs: int = 1
    max_hours: float = 24.0
    accelerate: str = ""
    python: str = ""


@dataclass(frozen=True, slots=True)
class TrainingTables:
    """Both tables.

    Attributes:
        base_models: by the name that a job gives.
        training: how jobs are run.
    """

    base_models: Mapping[str, BaseModel] = field(default_factory=dict)
    training: TrainingConfig = field(default_factory=TrainingConfig)


def read_training(tables: dict[str, Any], folder: Path, mistakes: list[str]) -> TrainingTables:
    """Read both tables.

    Args:
        tables: of the file.
        folder: of the file: paths in it count from there.
        mistakes: those of the file; the ones found here are added.
    """
    models = read_records(tables, "base_models", partial(_base_model, folder), mistakes)
    training = read_record(
        tables, "training", partial(_training, folder), mistakes, TrainingConfig()
    )
    return TrainingTables(models, training)


def _base_model(folder: Path, value: Any) -> BaseModel:
    if isinstance(value, str):
        value = {"path": value}
    if not isinstance(value, dict):
        raise TypeError('write "FOLDER", or a table with path or hub')
    if any(isinstance(inner, dict) for name, inner in value.items() if name != "lora"):
        raise ValueError('a name with dots stands in quotes: [base_models."qwen2.5-0.5b"]')
    model = BaseModel(**fields_of_table(BaseModel, value))
    if mistakes := _mistakes(model):
        raise ValueError("; ".join(mistakes))
    return replace(model, path=_from(folder, model.path))


def _mistakes(model: BaseModel) -> list[str]:
    found = []
    if bool(model.path) == bool(model.hub):
        found.append("give either path, a folder, or hub, a name at the Hugging Face Hub")
    if model.revision and not model.hub:
        found.append("revision is of hub: a folder has none")
    if model.learning_rate is not None and not 0 < model.learning_rate < math.inf:
        found.append("learning_rate must be above 0")
    if model.max_completion_tokens < 1:
        found.append("max_completion_tokens must be at least 1")
    if not model.methods:
        found.append(f"methods is empty; there are {', '.join(METHODS)}")
    if isinstance(model.lora, Mapping) and (
        set(model.lora) != set(_LORA) or min(model.lora.values()) < 1
    ):
        found.append("lora has r and alpha, each at least 1: {r = 16, alpha = 32}")
    return found


def _training(folder: Path, value: Any) -> TrainingConfig:
    config = TrainingConfig(**fields_of_table(TrainingConfig, value))
    found = []
    if config.jobs < 1:
        found.append("jobs must be at least 1")
    if not 0 < config.max_hours < math.inf:
        found.append("max_hours must be above 0")
    if found:
        raise ValueError("; ".join(found))
    accelerate, python = _from(folder, config.accelerate), _from(folder, config.python)
    return replace(config, accelerate=accelerate, python=python)


def _from(folder: Path, path: str) -> str:
    """A path of the file as one that holds in any folder; links stay, as those of virtual environments."""
    return str((folder / expanded(path)).absolute()) if path else ""
