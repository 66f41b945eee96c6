"""How models answer, for those who ask them."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from graders_engine.inference.generator import GENERATORS
from graders_engine.models.config import Config


@dataclass(frozen=True, slots=True)
class InferenceOptions:
    """How models answer.

    Attributes:
        idle_s: the process that answers ends so many seconds after the last request.
        python: that it runs with.
        device: where it holds a model: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        generator: what generates, as `MODULE:CLASS`.
    """

    idle_s: float = 300.0
    python: str = sys.executable
    device: str = "auto"
    generator: str = GENERATORS["transformers"]


def options_of(config: Config) -> InferenceOptions:
    """What graders.toml says of it."""
    table = config.inference
    python = table.python or config.training.python or sys.executable
    return InferenceOptions(table.idle_s, python, table.device, GENERATORS[table.engine])
