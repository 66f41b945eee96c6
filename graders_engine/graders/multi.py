"""multi: several graders, one formula over their rewards."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BeforeValidator, Field

from graders_engine.errors import FormulaFailure, Mistake
from graders_engine.graders import mistakes
from graders_engine.graders.base import Evaluator, GraderSpec, Services, attempt
from graders_engine.graders.fields import FormulaField, found
from graders_engine.graders.leaf import LeafGrader
from graders_engine.language.scope import Scope
from graders_engine.outcome import Failure, Flag, Outcome, added


def keyed(graders: list[Any]) -> dict[str, Any]:
    """The list form as a map: keyed by name; one with no name of its own is keyed by its place, `[2]`."""
    by_key: dict[str, Any] = {}
    for position, grader in enumerate(graders):
        name = grader.get("name") if isinstance(grader, dict) else None
        free = isinstance(name, str) and name not in by_key
        by_key[name if isinstance(name, str) and free else f"[{position}]"] = grader
    return by_key


def unnamed(graders: list[Any]) -> Iterator[Mistake]:
    """What keeps a list of graders from being a map: names that are missing or stand twice."""
    seen = set()
    for position, grader in enumerate(graders):
        path = f"graders[{position}].name"
        name = grader.get("name") if isinstance(grader, dict) else None
        if isinstance(grader, dict) and name is None:
            yield mistakes.missing(path)
        elif isinstance(name, str) and name in seen:
            reason = f"duplicate name '{name}'. Each grader in a list needs a name of its own."
            yield mistakes.invalid(path, reason)
        elif isinstance(name, str):
            seen.add(name)


def _as_map(value: Any) -> Any:
    graders = keyed(value) if isinstance(value, list) else value
    if graders == {}:
        message = (
            "empty object. Expected an object with minimum 1 key, but got an empty object instead."
        )
        raise found(lambda path: [Mistake(f"Invalid '{path}': {message}", path, "empty_object")])
    return graders


class MultiGrader(GraderSpec):
    """Runs every one of `graders` and puts their rewards into `calculate_output`."""

    type: Literal["multi"]
    graders: Annotated[dict[str, LeafGrader], BeforeValidator(_as_map)]
    calculate_output: FormulaField = Field(description="The reward, from the graders' keys.")

    def compile(self, services: Services) -> Multi:
        """Make the evaluator, and those of its parts."""
        return Multi(self, {key: spec.compile(services) for key, spec in self.graders.items()})

    def metrics(self) -> frozenset[str]:
        """Its parts' metrics."""
        return frozenset().union(*(spec.metrics() for spec in self.graders.values()))

    def judge_models(self) -> frozenset[str]:
        """The models that its parts ask."""
        return frozenset().union(*(spec.judge_models() for spec in self.graders.values()))

    def cautions(self, services: Services, path: str = "") -> Iterator[Mistake]:
        """Graders that the formula leaves out, and what its parts have to say."""
        for key, spec in self.graders.items():
            where = f"graders.{key}"
            if key not in self.calculate_output.names:
                yield Mistake(
                    f"'{where}' is run, but 'calculate_output' does not use it.",
                    where,
                    hint=""
                    if key.isidentifier()
                    else f"A formula cannot name '{key}': use letters, digits and _.",
                )
            yield from spec.cautions(services, f"{where}.")


class Multi:
    """Evaluates a `MultiGrader`."""

    def __init__(self, spec: MultiGrader, parts: dict[str, Evaluator]) -> None:
        self._formula = spec.calculate_output
        self._invalid_grade = spec.invalid_grade
        self._keys = tuple(parts)
        self._parts = tuple(parts.values())
        self.waits = any(part.waits for part in self._parts)

    async def evaluate(self, scope: Scope) -> Outcome:
        """The formula's value; a part that fails counts 0.0 in it and keeps its failure."""
        if self.waits:
            outcomes = await asyncio.gather(*(attempt(part, scope) for part in self._parts))
        else:  # a task a part would cost more than the parts do
            outcomes = [await attempt(part, scope) for part in self._parts]
        served = {key: outcome.served for key, outcome in zip(self._keys, outcomes, strict=True)}
        failures = [
            Failure(failure.flag, failure.details, failure.infrastructure, key, failure.type)
            for key, outcome in zip(self._keys, outcomes, strict=True)
            for failure in outcome.failures
        ]
        rewards = {
            key: None if outcome.failures else outcome.served
            for key, outcome in zip(self._keys, outcomes, strict=True)
        }
        scores = {
            key: reward if outcome.score is None else outcome.score
            for (key, reward), outcome in zip(rewards.items(), outcomes, strict=True)
        }
        reward: float | None
        try:
            reward = self._formula.evaluate(served)
        except FormulaFailure as error:
            failures.append(Failure(Flag.FORMULA_PARSE, str(error)))
            reward = None
        if failures and self._invalid_grade is not None:
            reward = self._invalid_grade
        shown = 0.0 if reward is None else reward
        if any(failure.infrastructure for failure in failures):
            reward = None  # an outage is not a zero: the number is served, but no reward is claimed
        outcome = Outcome(reward, shown, tuple(failures), rewards, scores)
        return self._with_traces(outcome, outcomes) if self.waits else outcome

    def _with_traces(self, outcome: Outcome, parts: Sequence[Outcome]) -> Outcome:
        """What the parts printed and spent, by their keys."""
        keyed = list(zip(self._keys, parts, strict=True))
        return msgspec.structs.replace(
            outcome,
            printed={
                f"{key}.{name}": text for key, part in keyed for name, text in part.printed.items()
            },
            usage=added(part.usage for part in parts),
            repeats={key: part.repeats[""] for key, part in keyed if part.repeats},
            labels={key: part.labels[""] for key, part in keyed if part.labels},
        )
