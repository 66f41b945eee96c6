"""The table `inference`: how models answer."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from graders_engine.home import expanded
from graders_engine.models.tables.fields import fields_of_table

Engine = Literal["transformers", "vllm"]
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


@dataclass(frozen=True, slots=True)
class InferenceConfig:
    """The table `inference`: how models answer.

    Attributes:
        idle_s: the model is given up so many seconds after the last request.
        engine: what generates; `vllm` has to be installed.
        python: the Python that has the packages; empty for that of `training`, or the server's own.
        device: where a model is held, such as `cpu` or `cuda:1`; `auto` for a GPU where there is one.
    """

    idle_s: float = 300.0
    engine: Engine = "transformers"
    python: str = ""
    device: str = "auto"


def inference_config(folder: Path, value: Any) -> InferenceConfig:
    """Make the record of the table; paths in it count from the file's folder.

    Raises:
        TypeError: it is no table.
        ValueError: it has mistakes.
    """
    config = InferenceConfig(**fields_of_table(InferenceConfig, value))
    found = []
    if not 0 < config.idle_s < math.inf:
        found.append("idle_s must be above 0")
    if not _DEVICE.fullmatch(config.device):
        found.append(f"device is auto, cpu, mps or cuda:NUMBER, not {config.device!r}")
    if found:
        raise ValueError("; ".join(found))
    python = config.python
    if python:  # links stay, as those of virtual environments
        python = str((folder / expanded(python)).absolute())
    return replace(config, python=python)
