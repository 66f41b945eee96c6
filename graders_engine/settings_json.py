"""An engine's settings as JSON, for a process of its own: what an eval's run or a job's worker is given."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from graders_engine.errors import InvalidRequest
from graders_engine.language import strict_json
from graders_engine.models.judges import JudgeSettings
from graders_engine.models.policies import Price
from graders_engine.models.retry import RetryPolicy
from graders_engine.sandbox.base import Limits
from graders_engine.settings import EngineSettings

_NOT_SENT = ("observe", "on_retry", "templates")
"""Settings that hold in the process that made them only, or are the same for each run."""
_PATHS = ("config", "cache", "record", "replay")


def as_json(settings: EngineSettings) -> bytes:
    """Settings as a worker reads them.

    Raises:
        InvalidRequest: one is an object, which another process cannot have.
    """
    given = {
        field.name: getattr(settings, field.name)
        for field in dataclasses.fields(settings)
        if field.name not in _NOT_SENT
    }
    judges = settings.judge_settings()
    objects = [
        *(name for name in ("embeddings", "sandbox") if not isinstance(given[name], str | None)),
        *("judges" for endpoint in judges.endpoints.values() if not isinstance(endpoint, str)),
    ]
    if objects:
        raise InvalidRequest(
            f"Runs of evals and jobs are processes of their own, which cannot use an object as {objects[0]}: "
            "give its name or address."
        )
    limits = None if settings.limits is None else dataclasses.asdict(settings.limits)
    return strict_json.encode({**given, "limits": limits, "judges": _judges_json(judges)})


def _judges_json(judges: JudgeSettings) -> dict[str, Any]:
    """All but the models of this machine: a worker knows whose it is, and has the store."""
    values = dataclasses.asdict(dataclasses.replace(judges, local=None))
    del values["local"]
    paths = {name: os.path.abspath(path) for name in _PATHS if (path := values[name]) is not None}
    return {**values, **paths}


def from_json(text: bytes) -> EngineSettings:
    """The settings in a text of `as_json`; the usual ones for an empty text.

    Raises:
        ValueError: the text is something else.
    """
    given: dict[str, Any] = strict_json.decode(text) if text.strip() else {}
    limits, judges = given.pop("limits", None), given.pop("judges", None)
    return EngineSettings(
        **given,
        limits=None if limits is None else Limits(**limits),
        judges=JudgeSettings() if judges is None else _judges_of(judges),
        templates="as_served",
    )


def _judges_of(values: dict[str, Any]) -> JudgeSettings:
    retry = RetryPolicy(**values.pop("retry"))
    prices = {name: Price(**price) for name, price in values.pop("prices").items()}
    return JudgeSettings(**values, retry=retry, prices=prices)
