"""An outcome in the hosted API's form: all keys, in the same order as there, including nulls."""

from __future__ import annotations

from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, PrivateAttr

from graders_engine.errors import Mistake
from graders_engine.graders.parts import without_nulls
from graders_engine.outcome import Flag, RowOutcome, flags_of


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
    """The metadata of a reward."""

    name: str
    type: str
    errors: GraderErrors
    execution_time: float
    scores: dict[str, float]
    token_usage: int | None = None
    sampled_model_name: str | None = None


class RunGraderResponse(_Wire):
    """The answer to "run grader", as the hosted API gives it.

    Example::

        response = engine.run(grader, item={"label": "cat"}, model_sample="cat")
        print(response.reward, response.flags)
        print(response.model_dump_json())

    Attributes:
        reward: the reward; 0.0 if the grader failed, which a flag in `metadata.errors` reports.
        metadata: name, type, flags, wall time in seconds, raw scores of a multi's parts, tokens.
        sub_rewards: for a multi, the reward of each part by key.
        model_grader_token_usage_per_model: tokens by model.
    """

    reward: float
    metadata: GraderMetadata
    sub_rewards: dict[str, float]
    model_grader_token_usage_per_model: dict[str, dict[str, int]]
    _row: RowOutcome = PrivateAttr()

    @property
    def flags(self) -> dict[str, str]:
        """The flags that are set, with details, including details for which the wire form has no key."""
        return self._row.flags

    @property
    def printed(self) -> dict[str, str]:
        """The output of python graders: "stdout" and "stderr", for a multi "key.stdout"; not on the wire."""
        return self._row.outcome.printed


class ValidateGraderResponse(_Wire):
    """The answer to "validate grader": the given grader, with a name."""

    grader: dict[str, Any]
    _warnings: tuple[Mistake, ...] = PrivateAttr(())

    @property
    def warnings(self) -> tuple[Mistake, ...]:
        """What is allowed but probably unintended; not part of the wire form."""
        return self._warnings


def made_up_name() -> str:
    """A random name for a grader without one: `grader-` and 12 alphanumerics."""
    import secrets  # most graders have a name
    from string import ascii_letters, digits

    return "grader-" + "".join(secrets.choice(ascii_letters + digits) for _ in range(12))


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
    """The wire form of a valid grader: as given, without nulls, with a name."""
    echo: dict[str, Any] = without_nulls(grader)
    echo.setdefault("name", made_up_name())
    response = ValidateGraderResponse(grader=echo)
    response._warnings = warnings
    return response


def _served(rewards: dict[str, float | None]) -> dict[str, float]:
    return {key: 0.0 if reward is None else reward for key, reward in rewards.items()}
