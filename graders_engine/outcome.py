"""The outcome of grading a row: a reward, or the reasons why it has none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Literal, get_args

import msgspec

from graders_engine.nothing import NOTHING

Status = Literal["scored", "invalid", "failed"]
"""`scored`: a reward; `invalid`: no reward; `failed`: no reward for an outage, so that a retry may help."""
Blame = Literal["sample", "grader", "row", "judge", "infrastructure"]
"""Who is to blame for a failure, the least grave first.

- `sample`: the model's output is not JSON, or a template steps into what is not in it.
- `grader`: its code raised, gave no number or passed a limit; its formula has no value.
- `row`: a template steps into what is not in the item; a row that cannot be read.
- `judge`: it refused, was cut off, or gave no verdict.
- `infrastructure`: an outage.
"""
BLAMES: tuple[Blame, ...] = get_args(Blame)
"""All blames, the least grave first."""
SERVED: frozenset[Blame] = frozenset(("sample", "grader"))
"""With these blames, training sees what is served: such rows count in the mean. Others are in no mean."""

Cause = Literal["", "refused", "forbidden", "unreachable", "unavailable", "busy"]
"""Why an endpoint gave no answer: it refuses the key, the model or the address; it forbids the request (HTTP
403 or 404), for one of these or for what was asked; there was no connection; it answered that it cannot
answer (HTTP 500), or not in time; or it asked for fewer requests (429, 503). Empty for anything else."""


def status_of(blame: Blame | None) -> Status:
    """The status of a row with this blame; None is that of a scored one."""
    if blame is None:
        return "scored"
    return "failed" if blame == "infrastructure" else "invalid"


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


_ERROR_BESIDE = "the sample has an output, which is graded, and an error beside it"
_TRACEBACK = "Traceback (most recent call last):"
_CHAINED = re.compile(
    r"\n(?:During handling of the above exception, another exception occurred"
    r"|The above exception was the direct cause of the following exception):\n"
)
_FRAME = re.compile(r'^ +File "([^"]*)", line ([0-9]+)', re.MULTILINE)


# Records of each row are msgspec structs: several times cheaper to create than frozen dataclasses.
class Failure(msgspec.Struct, frozen=True, gc=False):
    """Why a grader gave no reward.

    Attributes:
        flag: the flag that it sets on the wire.
        details: one or more lines for people.
        blame: whose fault it is; one of the infrastructure is never reported as a zero.
        grader: key of the sub-grader that failed; empty for a single grader.
        type: a short word for programs, for the flags whose wire form has one.
        cause: why an endpoint gave no answer.
    """

    flag: Flag
    details: str
    blame: Blame
    grader: str = ""
    type: str = ""
    cause: Cause = ""

    def __str__(self) -> str:
        """The details, after the sub-grader's key if there is one."""
        return _after_keys([self.grader], self.details)


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens that a model used (API reference: `model_grader_token_usage_per_model`).

    Attributes:
        prompt_tokens: tokens of the prompt.
        total_tokens: tokens of the prompt and the completion.
        completion_tokens: tokens of the completion.
        cached_tokens: tokens of the prompt that the endpoint took from its cache.
    """

    prompt_tokens: int = 0
    total_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        """The sum of both."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.total_tokens + other.total_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
        )

    def __sub__(self, part: Usage) -> Usage:
        """What is left without a part of it."""
        return Usage(
            self.prompt_tokens - part.prompt_tokens,
            self.total_tokens - part.total_tokens,
            self.completion_tokens - part.completion_tokens,
            self.cached_tokens - part.cached_tokens,
        )


def total_usage(usages: Iterable[Mapping[str, Usage]]) -> dict[str, Usage]:
    """The sums of several usages, by the model's name."""
    total: dict[str, Usage] = {}
    for usage in usages:
        for model, tokens in usage.items():
            total[model] = total[model] + tokens if model in total else tokens
    return total


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """The result of evaluating one row.

    Attributes:
        reward: the reward; None if grading failed. A multi has its formula's value, or its `invalid_grade`,
            even if a part failed, unless by an outage: `status` says whether the grade is complete.
        served: the reward on the wire: the same number, or where there is none 0.0 or a multi's
            `invalid_grade`.
        failures: all failures, including those of sub-graders.
        sub_rewards: for a multi, each sub-grader's reward by key; None for one that failed.
        scores: for a multi, each sub-grader's raw score by key; None for one that failed.
        score: a judge's number before it was clamped to the grader's range; None if clamping did not
            change it.
        printed: the output of python graders, by "stdout" and "stderr" (for a multi: "key.stdout").
        usage: tokens of the judges' replies, by the endpoint's name of the model.
        saved: those among them that were not spent, because the reply was kept from an earlier request.
        repeats: the reward of each answer, if a judge was asked several times; by the grader's key (""
            for a single grader).
        labels: the label of each answer of a label_model grader; by the grader's key in the same way.
        left_out: the parts of requests to judges that were not sent, since the model refuses them; by the
            model's name in the grader.
    """

    reward: float | None
    served: float
    failures: tuple[Failure, ...] = ()
    sub_rewards: dict[str, float | None] = NOTHING
    scores: dict[str, float | None] = NOTHING
    score: float | None = None
    printed: dict[str, str] = NOTHING
    usage: dict[str, Usage] = NOTHING
    saved: dict[str, Usage] = NOTHING
    repeats: dict[str, list[float]] = NOTHING
    labels: dict[str, list[str]] = NOTHING
    left_out: dict[str, list[str]] = NOTHING

    @property
    def clamped(self) -> dict[str, float]:
        """The numbers of judges that were outside their grader's range, by the grader's key."""
        if self.score is not None:
            return {"": self.score}
        if self.scores == self.sub_rewards:
            return NOTHING
        return {
            key: score
            for key, score in self.scores.items()
            if score is not None and score != self.sub_rewards.get(key)
        }

    @property
    def blame(self) -> Blame | None:
        """Whose fault it is that there is no reward: the gravest of the failures; None if it is scored."""
        if not self.failures:
            return None
        return max((failure.blame for failure in self.failures), key=BLAMES.index)

    @property
    def spent(self) -> dict[str, Usage]:
        """The tokens that were spent on this row: `usage` without what was saved."""
        if not self.saved:
            return self.usage
        return {
            model: usage - self.saved[model] if model in self.saved else usage
            for model, usage in self.usage.items()
            if self.saved.get(model) != usage
        }

    @property
    def status(self) -> Status:
        """`scored`, `invalid` or `failed`; a multi with a failed part is not `scored`."""
        return status_of(self.blame)


def plain_number(number: float) -> str:
    """A number as people write it, with all its digits."""
    return repr(number).removesuffix(".0")


def rewarded(reward: float) -> Outcome:
    """The outcome of a single grader that gave a reward."""
    return Outcome(reward, reward)


def failed(
    failure: Failure,
    usage: Mapping[str, Usage] = MappingProxyType({}),
    saved: Mapping[str, Usage] = MappingProxyType({}),
    left_out: Mapping[str, list[str]] = MappingProxyType({}),
) -> Outcome:
    """The outcome of a single grader that failed; with what its judge used and saved, and was not sent."""
    return Outcome(
        None, 0.0, (failure,), usage=dict(usage), saved=dict(saved), left_out=dict(left_out)
    )


class RowOutcome(msgspec.Struct, frozen=True, gc=False):
    """The outcome of one row of a data set.

    Example::

        for row in engine.score(grader, rows):
            if row.status != "scored":
                print(row.index, row.counted, row.blame, row.flags)

    Attributes:
        index: the position of the row, from 0.
        outcome: the result of grading it.
        sample_flags: flags of the sample itself (cut off, nothing to grade, an error beside it); they do not
            change the reward.
        seconds: wall time of grading.
        sample: the number of the sample, from 1, in a row with a list of them; None for other rows.
    """

    index: int
    outcome: Outcome
    sample_flags: tuple[Flag, ...] = ()
    seconds: float = 0.0
    sample: int | None = None

    @property
    def reward(self) -> float | None:
        """The reward; None if grading failed. That of a multi may be incomplete: see `status`."""
        return self.outcome.reward

    @property
    def served(self) -> float | None:
        """The reward as the hosted API serves it: without one 0.0, or a multi's `invalid_grade`.

        None for a failed row: an outage is not a zero, though the API's answer has one. It says
        nothing about the model where the row or a judge is to blame: for a run's mean, take `counted`.
        """
        return None if self.outcome.status == "failed" else self.outcome.served

    @property
    def counted(self) -> float | None:
        """The reward that training would see of the model; the mean of a run is the mean of these.

        It is the reward of a scored row, and what is served of one whose sample or grader is to blame. None
        if the row itself, a judge or the infrastructure is: such a row is in no mean.
        """
        blame = self.outcome.blame
        if blame is None:
            return self.outcome.reward
        return self.outcome.served if blame in SERVED else None

    @property
    def status(self) -> Status:
        """`scored`, `invalid` or `failed`."""
        return self.outcome.status

    @property
    def blame(self) -> Blame | None:
        """Whose fault it is that there is no reward; None if there is one."""
        return self.outcome.blame

    @property
    def sub_rewards(self) -> dict[str, float | None]:
        """For a multi, each sub-grader's reward by key."""
        return self.outcome.sub_rewards

    @property
    def flags(self) -> dict[str, str]:
        """The flags that are set, by their wire names, with their details (which may be empty)."""
        return flags_of(self.outcome.failures, self.sample_flags)


def flags_of(failures: tuple[Failure, ...], sample_flags: tuple[Flag, ...]) -> dict[str, str]:
    """The flags that are set, with their details.

    Failures with the same flag are joined by newlines; equal details stand there once, after all their keys.
    """
    keys: dict[str, dict[str, list[str]]] = {
        flag.value: {_ERROR_BESIDE: [""]} if flag is Flag.OTHER else {} for flag in sample_flags
    }
    for failure in failures:
        keys.setdefault(failure.flag.value, {}).setdefault(failure.details, []).append(
            failure.grader
        )
    return {
        flag: "\n".join(_after_keys(graders, text) for text, graders in by_details.items())
        for flag, by_details in keys.items()
    }


def _after_keys(keys: list[str], details: str) -> str:
    named = ", ".join(filter(None, keys))
    return f"{named}: {details}" if named else details


def details_line(details: str) -> str:
    """The line of a flag's details that says most: their first, or of a traceback the exception and its line.

    "TypeError: 'NoneType' object is not subscriptable (grader.py, line 2)".
    """
    if _TRACEBACK not in details:
        return next(filter(str.strip, details.splitlines()), "")
    key, _, _ = details.splitlines()[0].partition(_TRACEBACK)
    *_, trace = _CHAINED.split(details)
    frames = ""
    for line in trace.partition(_TRACEBACK)[2].splitlines():
        if line[:1].strip():
            place = _FRAME.findall(frames)
            where = f" ({place[-1][0]}, line {place[-1][1]})" if place else ""
            return f"{key if key.endswith(': ') else ''}{line}{where}"
        frames += f"{line}\n"
    return details.rstrip().splitlines()[-1].strip()
