"""multi: several graders and a formula over their rewards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BeforeValidator, Field, PlainValidator, Tag, ValidationInfo

from graders_engine.errors import FormulaFailure, Mistake
from graders_engine.graders import mistakes
from graders_engine.graders.base import (
    Evaluator,
    GraderSpec,
    Immediate,
    Services,
    attempt,
    attempt_now,
)
from graders_engine.graders.endpoint import EndpointGrader
from graders_engine.graders.fields import by_type, field_error, parse_options
from graders_engine.graders.label_model import LabelModelGrader
from graders_engine.graders.parts import by_name
from graders_engine.graders.python import PythonGrader
from graders_engine.graders.register import LEAF_TYPES
from graders_engine.graders.score_model import ScoreModelGrader
from graders_engine.graders.string_check import StringCheckGrader
from graders_engine.graders.text_similarity import TextSimilarityGrader
from graders_engine.language import formula_advice
from graders_engine.language.formula import Formula
from graders_engine.language.formula_tokens import is_name
from graders_engine.language.scope import Scope
from graders_engine.language.span import SourceError
from graders_engine.language.words import code_points, same_looking
from graders_engine.outcome import Failure, Flag, Outcome, failed, total_usage

Leaf = (
    Annotated[StringCheckGrader, Tag("<string_check>")]
    | Annotated[TextSimilarityGrader, Tag("<text_similarity>")]
    | Annotated[PythonGrader, Tag("<python>")]
    | Annotated[ScoreModelGrader, Tag("<score_model>")]
    | Annotated[LabelModelGrader, Tag("<label_model>")]
    | Annotated[EndpointGrader, Tag("<endpoint>")]
)
LeafGrader = Annotated[Leaf, by_type(*LEAF_TYPES)]


def _compile_formula(value: Any, info: ValidationInfo) -> Formula:
    if not isinstance(value, str):
        raise field_error(lambda path: [mistakes.invalid_type(path, "a string", value)])
    try:
        return Formula.compile(value, parse_options(info).keys)
    except SourceError as error:
        issues = error.issues
        raise field_error(lambda path: mistakes.invalid_source(path, issues)) from None


FormulaField = Annotated[Formula, PlainValidator(_compile_formula, json_schema_input_type=str)]
"""A string that is a formula over the keys in the context (`ParseOptions`)."""


def _keyed_graders(value: Any) -> Any:
    graders = by_name(value) if isinstance(value, list) else value
    if graders == {}:
        message = (
            "empty object. Expected an object with minimum 1 key, but got an empty object instead."
        )
        raise field_error(
            lambda path: [Mistake(f"Invalid '{path}': {message}", path, "empty_object")]
        )
    return graders


class MultiGrader(GraderSpec):
    """Runs all `graders` and computes `calculate_output` from their rewards."""

    type: Literal["multi"]
    graders: Annotated[dict[str, LeafGrader], BeforeValidator(_keyed_graders)]
    calculate_output: FormulaField = Field(description="The reward, from the graders' keys.")

    def compile(self, services: Services) -> Multi | ImmediateMulti:
        """Make the evaluator and those of its parts."""
        parts = {key: spec.compile(services) for key, spec in self.graders.items()}
        immediate = {key: part for key, part in parts.items() if isinstance(part, Immediate)}
        return (
            Multi(self, parts) if len(immediate) < len(parts) else ImmediateMulti(self, immediate)
        )

    def parts(self) -> Mapping[str, GraderSpec]:
        """Its graders by key."""
        return self.graders

    def cautions(self, services: Services, path: str = "") -> Iterator[Mistake]:
        """Graders that the formula does not use, keys that look the same, and the cautions of the parts."""
        keys = tuple(self.graders)
        for position, (key, spec) in enumerate(self.graders.items()):
            where = f"graders.{key}"
            if key not in self.calculate_output.names:
                advice = formula_advice.how_to_rename(key, keys)
                yield Mistake(
                    f"'{where}' is run, but 'calculate_output' does not use it.",
                    where,
                    hint="" if is_name(key) else f"A formula cannot name '{key}': {advice}.",
                )
            if alike := same_looking(key, keys[:position]):
                yield Mistake(
                    f"'{where}' looks like an earlier key, but is written with other code points: "
                    f"{code_points(alike, key)}.",
                    where,
                    hint="Rename one of them.",
                )
            yield from spec.cautions(services, f"{where}.")


class _Combination:
    """Computes a `MultiGrader`'s outcome from those of its parts."""

    def __init__(self, spec: MultiGrader) -> None:
        self._formula = spec.calculate_output
        self._invalid_grade = spec.invalid_grade

    def of(self, parts: Mapping[str, Outcome]) -> Outcome:
        """The outcome of the multi, given those of its parts by key."""
        failures = _failures(parts)
        rewards, scores = _numbers(parts)
        reward: float | None
        try:
            reward = self._formula.evaluate({key: part.served for key, part in parts.items()})
        except FormulaFailure as error:
            failures.append(Failure(Flag.FORMULA_PARSE, str(error), error.blame))
            reward = None
        if failures and self._invalid_grade is not None:
            reward = self._invalid_grade
        served = 0.0 if reward is None else reward
        if failures and any(failure.blame == "infrastructure" for failure in failures):
            reward = None  # an outage is not a zero: only the wire form has a number
        return Outcome(reward, served, tuple(failures), rewards, scores)


class Multi:
    """Evaluates a `MultiGrader`, parts of which wait.

    Args:
        spec: the grader.
        parts: what evaluates each of its graders, by key.
    """

    waits = True

    def __init__(self, spec: MultiGrader, parts: Mapping[str, Evaluator]) -> None:
        self._combination = _Combination(spec)
        self._evaluators = dict(parts)

    async def evaluate(self, scope: Scope) -> Outcome:
        """The formula's value; a part that fails is 0.0 in it, and its failure is passed on."""
        from graders_engine.tasks import together  # it imports asyncio

        outcomes = await together(attempt(part, scope) for part in self._evaluators.values())
        parts = dict(zip(self._evaluators, outcomes, strict=True))
        return _with_traces(self._combination.of(parts), parts)


class ImmediateMulti:
    """Evaluates a `MultiGrader` no part of which waits.

    Args:
        spec: the grader.
        parts: what evaluates each of its graders, by key.
    """

    waits = False

    def __init__(self, spec: MultiGrader, parts: Mapping[str, Immediate]) -> None:
        self._combination = _Combination(spec)
        self._evaluators = dict(parts)

    async def evaluate(self, scope: Scope) -> Outcome:
        """As `compute`."""
        return self.compute(scope)

    def compute(self, scope: Scope) -> Outcome:
        """As `Multi.evaluate`, the parts one after the other."""
        return self._combination.of(
            {key: attempt_now(part, scope) for key, part in self._evaluators.items()}
        )


async def graded_by_item(
    parts: Mapping[str, Evaluator | None], item: Any, missing: Failure
) -> Outcome:
    """The outcome of a multi for a row without a sample: no reward, but those of its parts that need none.

    Args:
        parts: what evaluates the parts that read the item alone, by key; None for those that read the sample.
        item: of the row.
        missing: why there is no sample.
    """
    scope = Scope(item, "", absent=True)
    able = {key: part for key, part in parts.items() if part is not None}
    if any(part.waits for part in able.values()):
        from graders_engine.tasks import together

        graded = await together(attempt(part, scope) for part in able.values())
    else:
        graded = [await attempt(part, scope) for part in able.values()]
    outcomes = dict.fromkeys(parts, failed(missing)) | dict(zip(able, graded, strict=True))
    outcome = Outcome(None, 0.0, tuple(_failures(outcomes)), *_numbers(outcomes))
    return _with_traces(outcome, outcomes)


def _failures(parts: Mapping[str, Outcome]) -> list[Failure]:
    """The failures of all parts, each with the key of its part."""
    return [
        msgspec.structs.replace(failure, grader=key)
        for key, part in parts.items()
        for failure in part.failures
    ]


def _numbers(
    parts: Mapping[str, Outcome],
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """The rewards of the parts, and their raw scores."""
    rewards: dict[str, float | None] = {}
    scores: dict[str, float | None] = {}
    for key, part in parts.items():
        rewards[key] = reward = None if part.failures else part.served
        scores[key] = reward if part.score is None else part.score
    return rewards, scores


def _with_traces(outcome: Outcome, parts: Mapping[str, Outcome]) -> Outcome:
    """Add what the parts printed, used and answered, by their keys."""
    return msgspec.structs.replace(
        outcome,
        printed={
            f"{key}.{name}": text
            for key, part in parts.items()
            for name, text in part.printed.items()
        },
        usage=total_usage(part.usage for part in parts.values()),
        saved=total_usage(part.saved for part in parts.values() if part.saved),
        repeats={key: part.repeats[""] for key, part in parts.items() if part.repeats},
        labels={key: part.labels[""] for key, part in parts.items() if part.labels},
        left_out=_united(part.left_out for part in parts.values()),
    )


def _united(parts: Iterable[Mapping[str, list[str]]]) -> dict[str, list[str]]:
    """The lists of several parts as one for each model."""
    united: dict[str, list[str]] = {}
    for part in parts:
        for model, names in part.items():
            united[model] = sorted({*united.get(model, ()), *names})
    return united
