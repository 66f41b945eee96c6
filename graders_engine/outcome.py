"""What grading a row came to: a reward, or the reasons why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

import msgspec

Status = Literal["scored", "invalid", "failed"]
"""`scored`: a reward; `invalid`: the row's or the grader's fault; `failed`: the infrastructure's fault."""


class Flag(StrEnum):
    """The boolean keys of `metadata.errors`, spelled as on the wire (API reference, run grader)."""

    FORMULA_PARSE = "formula_parse_error"
    SAMPLE_PARSE = "sample_parse_error"
    TRUNCATED_OBSERVATION = "truncated_observation_error"
    UNRESPONSIVE_REWARD = "unresponsive_reward_error"
    INVALID_VARIABLE = "invalid_variable_error"
    OTHER = "other_error"
    PYTHON_SERVER = "python_grader_server_error"
    PYTHON_RUNTIME = "python_grader_runtime_error"
    MODEL_SERVER = "model_grader_server_error"
    MODEL_REFUSAL = "model_grader_refusal_error"
    MODEL_PARSE = "model_grader_parse_error"
    MODEL_EXCEEDED_MAX_TOKENS = "model_grader_exceeded_max_tokens_error"
    ENDPOINT_INTERNAL = "endpoint_grader_internal_error"
    ENDPOINT_SERVER = "endpoint_grader_server_error"
    ENDPOINT_SAFETY_CHECK = "endpoint_grader_safety_check_error"


# Records made once a row are msgspec structs: several times cheaper to make than a frozen dataclass.
class Failure(msgspec.Struct, frozen=True, gc=False):
    """Why a grader gave no reward.

    Attributes:
        flag: the wire flag that it raises.
        details: one or more lines for a person.
        infrastructure: True when neither the row nor the grader is to blame, so that trying again
            may help; such a failure is never reported as a zero.
        grader: key of the sub-grader that failed; empty for a single grader.
        type: a short word for programs, for the flags whose wire form has one.
    """

    flag: Flag
    details: str
    infrastructure: bool = False
    grader: str = ""
    type: str = ""

    def __str__(self) -> str:
        """The details, headed by the sub-grader's key."""
        return f"{self.grader}: {self.details}" if self.grader else self.details


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens that a model took and gave (API reference: `model_grader_token_usage_per_model`).

    Attributes:
        prompt_tokens: read by the model.
        total_tokens: read and written.
        completion_tokens: written by the model.
        cached_tokens: those of the prompt that the endpoint had read before.
    """

    prompt_tokens: int = 0
    total_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        """Both together."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.total_tokens + other.total_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
        )


def added(usages: Iterable[Mapping[str, Usage]]) -> dict[str, Usage]:
    """Several models' tokens together, by the model's name."""
    total: dict[str, Usage] = {}
    for usage in usages:
        for model, tokens in usage.items():
            total[model] = total[model] + tokens if model in total else tokens
    return total


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What evaluating one row came to.

    Attributes:
        reward: the reward; None when there is none.
        served: what the wire form shows as the reward: the same number, or 0.0 (a multi's
            `invalid_grade`, if it has one) where there is none.
        failures: every failure, sub-graders' included; empty when all went well.
        sub_rewards: of a multi, each sub-grader's reward by key; None for one that failed.
        scores: of a multi, each sub-grader's raw score by key; None for one that failed.
        score: what a judge gave before it was clamped to the grader's range; None where that is no other.
        printed: what python graders printed, by "stdout" and "stderr" (of a multi: "key.stdout").
        usage: the tokens that judges took and gave, by the name that the endpoint gives the model.
        repeats: where a judge was asked several times, each answer's reward, by the grader's key ("" for
            a single grader).
        labels: of label_model graders, the label of each answer, by the grader's key likewise.
    """

    reward: float | None
    served: float
    failures: tuple[Failure, ...] = ()
    sub_rewards: dict[str, float | None] = {}
    scores: dict[str, float | None] = {}
    score: float | None = None
    printed: dict[str, str] = {}
    usage: dict[str, Usage] = {}
    repeats: dict[str, list[float]] = {}
    labels: dict[str, list[str]] = {}

    @property
    def status(self) -> Status:
        """Which of the three this row counts as; a multi with a failing part is not `scored`."""
        if not self.failures:
            return "scored"
        if any(failure.infrastructure for failure in self.failures):
            return "failed"
        return "invalid"


def rewarded(reward: float) -> Outcome:
    """The outcome of a single grader that gave a reward."""
    return Outcome(reward, reward)


def failed(failure: Failure, usage: Mapping[str, Usage] = MappingProxyType({})) -> Outcome:
    """The outcome of a single grader that gave none, whatever it spent."""
    return Outcome(None, 0.0, (failure,), usage=dict(usage))


class RowOutcome(msgspec.Struct, frozen=True, gc=False):
    """One row of a data set, graded.

    Attributes:
        index: the row's place among the rows, from 0.
        outcome: what grading it came to.
        sample_flags: what the sample itself says (cut off, nothing to grade); they take no reward away.
        seconds: wall time of the grading.
    """

    index: int
    outcome: Outcome
    sample_flags: tuple[Flag, ...] = ()
    seconds: float = 0.0

    @property
    def reward(self) -> float | None:
        """The reward; None when there is none."""
        return self.outcome.reward

    @property
    def status(self) -> Status:
        """`scored`, `invalid` or `failed`."""
        return self.outcome.status

    @property
    def sub_rewards(self) -> dict[str, float | None]:
        """Of a multi, each sub-grader's reward by key."""
        return self.outcome.sub_rewards

    @property
    def flags(self) -> dict[str, str]:
        """The flags that are set, by their wire names, with details where there are any."""
        return flags_of(self.outcome.failures, self.sample_flags)


def flags_of(failures: tuple[Failure, ...], sample_flags: tuple[Flag, ...]) -> dict[str, str]:
    """The flags that are set; several failures under one flag share its details."""
    details: dict[str, list[str]] = {flag.value: [] for flag in sample_flags}
    for failure in failures:
        details.setdefault(failure.flag.value, []).append(str(failure))
    return {flag: "\n".join(lines) for flag, lines in details.items()}
