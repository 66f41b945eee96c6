"""A model that answers, as it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that can be asked.

    Attributes:
        name: as it was asked for; answers carry it.
        folder: with all weights, or with adapters; their `adapter_config.json` names the folder of the rest.
        max_completion_tokens: the longest answer.
        identity: of the weights: another one as soon as they are others.
    """

    name: str
    folder: Path
    max_completion_tokens: int
    identity: str
