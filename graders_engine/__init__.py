"""Run OpenAI-style graders on your own machine: grader JSON in, reward out.

The public names are imported on first use, so that `import graders_engine` is fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graders_engine.version import __version__ as __version__

_EXPORTS = {
    "adapters.reward": ("GraderReward",),
    "blocking": ("Engine",),
    "compiled": ("CompiledGrader",),
    "engine": ("AsyncEngine",),
    "errors": (
        "BudgetSpent",
        "DataSetError",
        "GradersError",
        "InvalidGrader",
        "InvalidRequest",
        "InvalidRow",
        "LifecycleError",
        "Mistake",
        "NoReward",
        "UnavailableGrader",
    ),
    "models.base": ("ModelBackend", "ModelReply", "ModelRequest"),
    "models.retry": ("RetryPolicy",),
    "models.judges": ("JudgeSettings",),
    "models.policies": ("Price",),
    "models.scripted": ("Scripted",),
    "outcome": ("Blame", "Failure", "Flag", "Outcome", "RowOutcome", "Usage"),
    "response": ("RunGraderResponse", "ValidateGraderResponse"),
    "sandbox.base": ("Limits",),
    "settings": ("EngineSettings",),
    "tables": ("to_arrow", "to_pandas"),
}
"""Module -> its public names."""
_MODULES = {name: module for module, names in _EXPORTS.items() for name in names}

__all__ = sorted([*_MODULES, "__version__"])

if TYPE_CHECKING:  # the same names for type checkers; "X as X" marks them as public
    from graders_engine.adapters.reward import GraderReward as GraderReward
    from graders_engine.blocking import Engine as Engine
    from graders_engine.compiled import CompiledGrader as CompiledGrader
    from graders_engine.engine import AsyncEngine as AsyncEngine
    from graders_engine.errors import BudgetSpent as BudgetSpent
    from graders_engine.errors import DataSetError as DataSetError
    from graders_engine.errors import GradersError as GradersError
    from graders_engine.errors import InvalidGrader as InvalidGrader
    from graders_engine.errors import InvalidRequest as InvalidRequest
    from graders_engine.errors import InvalidRow as InvalidRow
    from graders_engine.errors import LifecycleError as LifecycleError
    from graders_engine.errors import Mistake as Mistake
    from graders_engine.errors import NoReward as NoReward
    from graders_engine.errors import UnavailableGrader as UnavailableGrader
    from graders_engine.models.base import ModelBackend as ModelBackend
    from graders_engine.models.base import ModelReply as ModelReply
    from graders_engine.models.base import ModelRequest as ModelRequest
    from graders_engine.models.judges import JudgeSettings as JudgeSettings
    from graders_engine.models.policies import Price as Price
    from graders_engine.models.retry import RetryPolicy as RetryPolicy
    from graders_engine.models.scripted import Scripted as Scripted
    from graders_engine.outcome import Blame as Blame
    from graders_engine.outcome import Failure as Failure
    from graders_engine.outcome import Flag as Flag
    from graders_engine.outcome import Outcome as Outcome
    from graders_engine.outcome import RowOutcome as RowOutcome
    from graders_engine.outcome import Usage as Usage
    from graders_engine.response import RunGraderResponse as RunGraderResponse
    from graders_engine.response import ValidateGraderResponse as ValidateGraderResponse
    from graders_engine.sandbox.base import Limits as Limits
    from graders_engine.settings import EngineSettings as EngineSettings
    from graders_engine.tables import to_arrow as to_arrow
    from graders_engine.tables import to_pandas as to_pandas
else:  # hidden from type checkers, which would accept any name

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
