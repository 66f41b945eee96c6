"""Why there is no answer, as JSON between the process that answers and those who ask it."""

from __future__ import annotations

from typing import Any

from graders_engine.errors import GradersError, Mistake
from graders_engine.files import without_paths
from graders_engine.inference.errors import InvalidChat, ModelBusy, ModelUnavailable

_INVALID, _BUSY, _UNAVAILABLE = "invalid", "busy", "unavailable"
_STATUS = {_INVALID: 400, _BUSY: 429, _UNAVAILABLE: 503}


def as_json(error: GradersError) -> tuple[int, dict[str, Any]]:
    """The status of an error, and what says it to those who asked, whom no path of this machine concerns."""
    if isinstance(error, InvalidChat):
        mistakes = [[one.message, one.param, one.code] for one in error.mistakes]
        return _STATUS[_INVALID], {"error": {"kind": _INVALID, "mistakes": mistakes}}
    kind = _BUSY if isinstance(error, ModelBusy) else _UNAVAILABLE
    return _STATUS[kind], {"error": {"kind": kind, "message": without_paths(str(error))}}


def raised_by(value: dict[str, Any]) -> GradersError:
    """The error of `as_json` again."""
    error = value["error"]
    if error["kind"] == _INVALID:
        return InvalidChat([Mistake(*one) for one in error["mistakes"]])
    return (ModelBusy if error["kind"] == _BUSY else ModelUnavailable)(error["message"])
