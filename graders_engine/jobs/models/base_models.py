"""The base models that jobs may name: their folders, what training them takes, and how fast they learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from graders_engine.errors import GradersError, Mistake
from graders_engine.jobs.models.machine import Memory
from graders_engine.jobs.models.safetensors import UnusableFolder, Weights, read_weights
from graders_engine.language.spelling import nearest
from graders_engine.models.tables.training import BaseModel, Method

LORA_ABOVE = 300_000_000
"""Parameters above which adapters are trained, unless graders.toml says otherwise."""
LORA = {"r": 16, "alpha": 32}
_RATES: dict[Method, tuple[float, float]] = {
    "supervised": (2e-5, 2e-4),
    "dpo": (1e-6, 1e-5),
    "reinforcement": (1e-6, 1e-5),
}
"""Learning rates for all weights, and for adapters."""
_TRAINED_BYTES = 16
"""A trained parameter: its value, its gradient, and two moments of AdamW, of four bytes each."""
_FROZEN_BYTES = {True: 2, False: 4}
"""A parameter that stays: bf16 on a GPU, else four bytes."""
_ACTIVATIONS_SHARE = 0.1
"""What activations and the cache of sampled tokens take, of the bytes of the weights; a low guess."""
_GIB = 1 << 30


class ModelRefused(GradersError):
    """Raised when a job cannot train the model that it names.

    Attributes:
        mistake: what is answered.
    """

    def __init__(self, mistake: Mistake) -> None:
        self.mistake = mistake
        super().__init__(mistake.message)


@dataclass(frozen=True, slots=True)
class Trainable:
    """A base model as a job trains it.

    Attributes:
        folder: with its weights.
        lora: `r` and `alpha` of adapters; None where all weights are trained.
        learning_rate: what a multiplier of 1 means.
        max_completion_tokens: the longest answer that is sampled.
        parameters: how many it has.
    """

    folder: Path
    lora: dict[str, int] | None
    learning_rate: float
    max_completion_tokens: int
    parameters: int


def find_model(models: Mapping[str, BaseModel], name: str, method: Method) -> BaseModel:
    """The base model that a job names.

    Args:
        models: of graders.toml.
        name: as the job gives it.
        method: of the job.

    Raises:
        ModelRefused: there is none of this name, or not for this method.
    """
    found = models.get(name)
    if found is None:
        near = nearest(name, tuple(models))
        meant = f" Did you mean '{near}'?" if near else ""
        listed = ", ".join(f"'{one}'" for one in models)
        there = f"There are: {listed}." if models else "graders.toml lists none in [base_models]."
        raise _unavailable(f"The model '{name[:80]}' cannot be trained here. {there}{meant}")
    if method not in found.methods:
        raise _unavailable(
            f"The model '{name}' is not for the method '{method}': graders.toml has it for "
            f"{', '.join(found.methods)}."
        )
    return found


def trainable(
    name: str, model: BaseModel, folder: Path, method: Method, memory: Memory
) -> Trainable:
    """How a job trains a model; all weights only where they fit.

    Args:
        name: of the model.
        model: its entry in graders.toml.
        folder: with its weights.
        method: of the job.
        memory: what there is to train in.

    Raises:
        ModelRefused: the folder cannot be used, or the model is too large.
    """
    try:
        weights = read_weights(folder)
    except UnusableFolder as error:
        raise _unavailable(f"The model '{name}' cannot be used: {error}") from None
    lora = _lora(model, weights)
    if lora is None and model.lora is None and not _fits(weights, None, method, memory):
        lora = dict(LORA)
    if not _fits(weights, lora, method, memory):
        raise ModelRefused(_too_large(name, weights, lora, method, memory))
    rate = model.learning_rate or _RATES[method][lora is not None]
    return Trainable(folder, lora, rate, model.max_completion_tokens, weights.parameters)


def bytes_needed(
    weights: Weights, lora: Mapping[str, int] | None, method: Method, *, gpu: bool
) -> int:
    """The memory that training takes, about.

    All weights are 16 bytes each; for dpo, the model that answers are held against is loaded besides. With
    adapters the weights are 2 bytes each on a GPU and 4 elsewhere, and only the adapters 16.

    Args:
        weights: of the model.
        lora: of the adapters; None where all weights are trained.
        method: of the job.
        gpu: whether it trains on a GPU.
    """
    frozen = weights.parameters * _FROZEN_BYTES[gpu]
    if lora is None:
        held = weights.parameters * _TRAINED_BYTES + (frozen if method == "dpo" else 0)
    else:
        held = frozen + weights.adapted * lora["r"] * _TRAINED_BYTES
    return held + int(frozen * _ACTIVATIONS_SHARE)


def _fits(weights: Weights, lora: Mapping[str, int] | None, method: Method, memory: Memory) -> bool:
    needed = bytes_needed(weights, lora, method, gpu=memory.gpu)
    return not memory.bytes or needed <= memory.bytes


def _lora(model: BaseModel, weights: Weights) -> dict[str, int] | None:
    if isinstance(model.lora, Mapping):
        return dict(model.lora)
    wanted = weights.parameters > LORA_ABOVE if model.lora is None else model.lora
    return dict(LORA) if wanted else None


def _too_large(
    name: str, weights: Weights, lora: Mapping[str, int] | None, method: Method, memory: Memory
) -> Mistake:
    needed = bytes_needed(weights, lora, method, gpu=memory.gpu)
    how = "all of its weights" if lora is None else f"adapters of rank {lora['r']}"
    advice = " Set `lora = true` for it in graders.toml." if lora is None else ""
    message = (
        f"The model '{name}' has {weights.parameters:,} parameters: to train {how} takes about "
        f"{needed / _GIB:.1f} GiB, and this machine has {memory.bytes / _GIB:.1f} GiB of "
        f"{'GPU memory' if memory.gpu else 'RAM'}.{advice}"
    )
    return Mistake(message, "model", "model_too_large")


def _unavailable(message: str) -> ModelRefused:
    return ModelRefused(Mistake(message, "model", "model_not_available"))
