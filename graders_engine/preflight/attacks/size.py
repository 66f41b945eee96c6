"""Texts that only cost time: long ones, and deep ones."""

from __future__ import annotations

from collections.abc import Mapping

from graders_engine.preflight.attacks.attack import Attack
from graders_engine.preflight.attacks.context import Context
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.references import Sample

_RUN_CHARS = 50_000
_DEPTH = 10_000


def _huge(_: TrainingRow, __: Context) -> Mapping[str, Sample]:
    runs = "".join(char * _RUN_CHARS for char in ("a", "1", " ", "<"))
    return {"200,000 characters": f"{runs}!", "10,000 brackets": "[" * _DEPTH + "]" * _DEPTH}


ATTACKS = (
    Attack("huge", "robustness", "a very long answer", _huge,
           lambda context: not context.judged, framed=False),
)  # fmt: skip
