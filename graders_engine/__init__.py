"""Run OpenAI-style graders on your own machine: grader JSON in, reward out.

The names below are imported on first use, so that `import graders_engine` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graders_engine.version import __version__

if TYPE_CHECKING:
    from graders_engine.blocking import Engine
    from graders_engine.compiled import CompiledGrader
    from graders_engine.engine import AsyncEngine
    from graders_engine.errors import (
        BudgetSpent,
        DataSetError,
        GradersError,
        InvalidGrader,
        InvalidRequest,
        InvalidRow,
        LifecycleError,
        Mistake,
        UnavailableGrader,
    )
    from graders_engine.models.base import ModelBackend, ModelReply, ModelRequest
    from graders_engine.models.judges import JudgeSettings
    from graders_engine.models.policies import Price
    from graders_engine.models.scripted import Scripted
    from graders_engine.outcome import Failure, Flag, Outcome, RowOutcome, Usage
    from graders_engine.response import RunGraderResponse, ValidateGraderResponse
    from graders_engine.sandbox.base import Limits

_HOMES = {
    "AsyncEngine": "engine",
    "BudgetSpent": "errors",
    "CompiledGrader": "compiled",
    "DataSetError": "errors",
    "Engine": "blocking",
    "Failure": "outcome",
    "Flag": "outcome",
    "GradersError": "errors",
    "InvalidGrader": "errors",
    "InvalidRequest": "errors",
    "InvalidRow": "errors",
    "JudgeSettings": "models.judges",
    "LifecycleError": "errors",
    "Limits": "sandbox.base",
    "Mistake": "errors",
    "ModelBackend": "models.base",
    "ModelReply": "models.base",
    "ModelRequest": "models.base",
    "Outcome": "outcome",
    "Price": "models.policies",
    "RowOutcome": "outcome",
    "RunGraderResponse": "response",
    "Scripted": "models.scripted",
    "UnavailableGrader": "errors",
    "Usage": "outcome",
    "ValidateGraderResponse": "response",
}

__all__ = [
    "AsyncEngine",
    "BudgetSpent",
    "CompiledGrader",
    "DataSetError",
    "Engine",
    "Failure",
    "Flag",
    "GradersError",
    "InvalidGrader",
    "InvalidRequest",
    "InvalidRow",
    "JudgeSettings",
    "LifecycleError",
    "Limits",
    "Mistake",
    "ModelBackend",
    "ModelReply",
    "ModelRequest",
    "Outcome",
    "Price",
    "RowOutcome",
    "RunGraderResponse",
    "Scripted",
    "UnavailableGrader",
    "Usage",
    "ValidateGraderResponse",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
