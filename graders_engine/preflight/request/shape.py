"""What the request of a fine-tuning job may hold: keys, kinds and ranges."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

METHODS = ("supervised", "dpo", "reinforcement")

JOB_KEYS = (
    "model", "training_file", "validation_file", "method", "hyperparameters", "suffix", "seed",
    "metadata", "integrations",
)  # fmt: skip
"""Keys of the request (API reference, create a fine-tuning job)."""
METHOD_KEYS = ("type", *METHODS)
REINFORCEMENT_KEYS = ("grader", "hyperparameters", "response_format")
"""`response_format` is of the guide on reinforcement fine-tuning."""
HYPERPARAMETERS = (
    "batch_size", "compute_multiplier", "eval_interval", "eval_samples", "learning_rate_multiplier",
    "n_epochs", "reasoning_effort",
)  # fmt: skip
EFFORTS = ("default", "low", "medium", "high")
ANSWER_KEYS = (
    "id", "object", "created_at", "error", "estimated_finish", "fine_tuned_model", "finished_at",
    "organization_id", "result_files", "status", "trained_tokens", "user_provided_suffix",
)  # fmt: skip
"""What a job that was created holds besides: the answer of the service may be given for the request."""
CALLER_KEYS = ("extra_body", "extra_headers", "timeout")
"""What scripts of the SDK pass beside the request."""


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers that a hyperparameter may have.

    Attributes:
        low: the lowest; `above` it where that is set.
        high: the highest.
        whole: whether it is a whole number.
        above: whether the lowest itself is too low.
    """

    low: float
    high: float = math.inf
    whole: bool = True
    above: bool = False

    def holds(self, value: Any) -> bool:
        """Whether it is such a number, or `auto`; true and false are no numbers."""
        if value == "auto" or value is None:
            return True
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not math.isfinite(value)
        ):
            return False
        if self.whole and value != int(value):
            return False
        return (value > self.low if self.above else value >= self.low) and value <= self.high

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        least = f"above {self.low:g}" if self.above else f"from {self.low:g}"
        return f"{kind} {least}{'' if math.isinf(self.high) else f' to {self.high:g}'}, or auto"


RANGES: dict[str, Range] = {
    "batch_size": Range(1, 256),
    "n_epochs": Range(1, 50),
    "learning_rate_multiplier": Range(0, whole=False, above=True),
    "compute_multiplier": Range(0.00001, 10, whole=False, above=True),
    "eval_interval": Range(1),
    "eval_samples": Range(1),
}
"""The ranges of the API's own validation (jobs of the service, 2025 and 2026)."""
MAX_SUFFIX, MAX_METADATA, MAX_KEY, MAX_VALUE = 64, 16, 64, 512
"""Characters of the suffix; keys of the metadata, and their and their values' characters (API reference)."""


def objects_in(job: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], tuple[str, ...]]]:
    """(path, object, the keys it may have) of the request and the objects in it."""
    answered = ANSWER_KEYS if job.get("object") == "fine_tuning.job" else ()
    yield "", job, (*JOB_KEYS, *CALLER_KEYS, *answered)
    method = job.get("method")
    if not isinstance(method, Mapping):
        return
    yield "method", method, METHOD_KEYS
    reinforcement = method.get("reinforcement")
    if isinstance(reinforcement, Mapping):
        yield "method.reinforcement", reinforcement, REINFORCEMENT_KEYS
        given = reinforcement.get("hyperparameters")
        if isinstance(given, Mapping):
            yield "method.reinforcement.hyperparameters", given, HYPERPARAMETERS


def joined(path: str, key: str) -> str:
    """The path of a key in the object at a path."""
    return f"{path}.{key}" if path else key
