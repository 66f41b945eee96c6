"""The hosted API's form of an outcome: every key present, in the served order, nulls written."""

from __future__ import annotations

import secrets
import string
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, PrivateAttr

from graders_engine.errors import Mistake
from graders_engine.outcome import Flag, RowOutcome, flags_of

_ALPHANUMERICS = string.ascii_letters + string.digits


class _Wire(BaseModel):
    model_config = ConfigDict(protected_namespaces=(), frozen=True)


class GraderErrors(_Wire):
    """The flags: the 14 documented keys, then the ten that the live service added, in its order."""

    formula_parse_error: bool = False
    sample_parse_error: bool = False
    truncated_observation_error: bool = False
    unresponsive_reward_error: bool = False
    invalid_variable_error: bool = False
    other_error: bool = False
    python_grader_server_error: bool = False
    python_grader_server_error_type: str | None = None
    python_grader_runtime_error: bool = False
    python_grader_runtime_error_details: str | None = None
    model_grader_server_error: bool = False
    model_grader_refusal_error: bool = False
    model_grader_parse_error: bool = False
    model_grader_server_error_details: str | None = None
    sample_parse_error_details: str | None = None
    invalid_variable_error_details: str | None = None
    model_grader_refusal_error_details: str | None = None
    model_grader_parse_error_details: str | None = None
    model_grader_exceeded_max_tokens_error: bool = False
    endpoint_grader_internal_error: bool = False
    endpoint_grader_internal_error_details: str | None = None
    endpoint_grader_server_error: bool = False
    endpoint_grader_server_error_details: str | None = None
    endpoint_grader_safety_check_error: bool = False


class GraderMetadata(_Wire):
    """What goes with a reward."""

    name: str
    type: str
    errors: GraderErrors
    execution_time: float
    scores: dict[str, float]
    token_usage: int | None = None
    sampled_model_name: str | None = None


class RunGraderResponse(_Wire):
    """The answer to "run grader".

    Attributes:
        reward: the reward; 0.0 when the grader failed (a flag in `metadata.errors` says so).
        metadata: name, type, flags, wall seconds, raw scores of a multi's parts, tokens.
        sub_rewards: of a multi, the reward of each part by key.
        model_grader_token_usage_per_model: tokens by model.
    """

    reward: float
    metadata: GraderMetadata
    sub_rewards: dict[str, float]
    model_grader_token_usage_per_model: dict[str, dict[str, int]]
    _row: RowOutcome = PrivateAttr()

    @property
    def flags(self) -> dict[str, str]:
        """The flags that are set, with details, also for those whose details the wire has no key for."""
        return self._row.flags

    @property
    def printed(self) -> dict[str, str]:
        """What python graders printed: "stdout" and "stderr", of a multi "key.stdout"; not on the wire."""
        return self._row.outcome.printed


class ValidateGraderResponse(_Wire):
    """The answer to "validate grader": what was given, with a name.

    Attributes:
        grader: the grader.
        warnings: what is allowed but probably not meant; not part of the wire form.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    grader: dict[str, Any]
    _warnings: tuple[Mistake, ...] = PrivateAttr(())

    @property
    def warnings(self) -> tuple[Mistake, ...]:
        """What is allowed but probably not meant; not part of the wire form."""
        return self._warnings


def made_up_name() -> str:
    """A name for a grader that has none: `grader-` and 12 alphanumerics, another one on each call."""
    return "grader-" + "".join(secrets.choice(_ALPHANUMERICS) for _ in range(12))


def present_run(row: RowOutcome, *, name: str | None, type_: str) -> RunGraderResponse:
    """The wire form of one graded row."""
    outcome = row.outcome
    flags: dict[str, Any] = {}
    for flag, details in flags_of(outcome.failures, row.sample_flags).items():
        flags[flag] = True
        if f"{flag}_details" in GraderErrors.model_fields:
            flags[f"{flag}_details"] = details or None
    for failure in outcome.failures:
        if failure.flag is Flag.PYTHON_SERVER:
            flags["python_grader_server_error_type"] = failure.type
    response = RunGraderResponse(
        reward=outcome.served,
        metadata=GraderMetadata(
            name=made_up_name() if name is None else name,
            type=type_,
            errors=GraderErrors(**flags),
            execution_time=row.seconds,
            scores=_served(outcome.scores),
            token_usage=sum(used.total_tokens for used in outcome.usage.values())
            if outcome.usage
            else None,
            sampled_model_name=", ".join(outcome.usage) or None,
        ),
        sub_rewards=_served(outcome.sub_rewards),
        model_grader_token_usage_per_model={
            model: msgspec.structs.asdict(used) for model, used in outcome.usage.items()
        },
    )
    response._row = row
    return response


def present_validation(
    grader: dict[str, Any], warnings: tuple[Mistake, ...]
) -> ValidateGraderResponse:
    """The wire form of a grader that was found valid: what was given, nulls left out, with a name."""
    echo = _without_nulls(grader)
    echo.setdefault("name", made_up_name())
    response = ValidateGraderResponse(grader=echo)
    response._warnings = warnings
    return response


def _without_nulls(grader: dict[str, Any]) -> dict[str, Any]:
    """A grader without the optional keys that are null; a key of a grader with null is as if left out."""
    echo = {key: value for key, value in grader.items() if value is not None}
    parts = echo.get("graders")
    if isinstance(parts, dict):
        echo["graders"] = {key: _without_nulls(part) for key, part in parts.items()}
    elif isinstance(parts, list):
        echo["graders"] = [_without_nulls(part) for part in parts]
    return echo


def _served(rewards: dict[str, float | None]) -> dict[str, float]:
    return {key: 0.0 if reward is None else reward for key, reward in rewards.items()}
