"""A grader made ready to grade rows."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import msgspec

from graders_engine.errors import InvalidRow, Mistake, UnavailableGrader
from graders_engine.graders.base import Evaluator, GraderSpec, Services, attempt
from graders_engine.graders.parse import parse, read
from graders_engine.graders.parts import map_parts
from graders_engine.language.scope import Scope, kind_of, scope_of
from graders_engine.models.http import without_secrets
from graders_engine.outcome import Failure, Flag, RowOutcome, failed

ScopeOf = Callable[[Any], Scope]
"""From a data set's row to a scope; raises InvalidRow."""


class CompiledGrader:
    """A grader that was parsed and compiled; give it to an engine in place of the JSON to do so only once.

    Args:
        grader: a dict, JSON text, or an object of the `openai` package.
        services: what its evaluator may use.
        check_sources: whether a python source that cannot run is a mistake.
        evaluator: evaluates the rows in place of the one that the grader compiles to.

    Attributes:
        given: the grader as JSON values.
        spec: its parsed form.

    Raises:
        InvalidGrader: with every mistake.
    """

    def __init__(
        self,
        grader: Any,
        services: Services,
        *,
        check_sources: bool = True,
        evaluator: Evaluator | None = None,
    ) -> None:
        self.given: dict[str, Any] = read(grader)
        self.spec: GraderSpec = parse(self.given, check_sources=check_sources)
        self._services = services
        self._evaluator = evaluator

    @property
    def evaluator(self) -> Evaluator:
        """What grades a row; made when it is first needed.

        Raises:
            UnavailableGrader: the engine has no means to run it.
        """
        if self._evaluator is None:
            self._evaluator = self.spec.compile(self._services)
        return self._evaluator

    def with_evaluator(self, evaluator: Evaluator) -> CompiledGrader:
        """The same grader, evaluated by something else: a wrapper that remembers, or a test's own."""
        other = copy.copy(self)
        other._evaluator = evaluator
        return other

    def require_runnable(self) -> None:
        """Make sure that the engine can run it.

        Raises:
            UnavailableGrader: the engine has no means to.
        """
        _ = self.evaluator

    @functools.cached_property
    def masked(self) -> dict[str, Any]:
        """The grader as files and reports show it: an endpoint's headers, and its query, may hold keys."""
        masked: dict[str, Any] = map_parts(self.given, _mask)
        return masked

    @property
    def type(self) -> str:
        """The grader's `type`."""
        return str(self.given["type"])

    def warnings(self) -> tuple[Mistake, ...]:
        """What is allowed but probably not meant."""
        cautions = list(self.spec.cautions(self._services))
        try:
            self.require_runnable()
        except UnavailableGrader as error:
            cautions.append(Mistake(str(error)))
        return tuple(cautions)

    async def grade(self, index: int, scope: Scope) -> RowOutcome:
        """Grade one row."""
        started = perf_counter()
        outcome = await attempt(self.evaluator, scope)
        return RowOutcome(index, outcome, scope.flags(), perf_counter() - started)

    async def grade_row(self, index: int, row: Any, scope: ScopeOf) -> RowOutcome:
        """Grade one row of a data set; one that cannot be read as a row is an outcome too."""
        try:
            return await self.grade(index, scope(row))
        except InvalidRow as error:
            return invalid_row(index, str(error))

    def grade_row_now(self, index: int, row: Any, scope: ScopeOf) -> RowOutcome:
        """`grade_row` without an event loop, for an evaluator that does not wait."""
        grading = self.grade_row(index, row, scope)
        try:
            grading.send(None)
        except StopIteration as stop:
            graded: RowOutcome = stop.value
            return graded
        grading.close()
        raise RuntimeError(
            f"{type(self.evaluator).__name__} says that it does not wait, but it does"
        )


def _mask(grader: dict[str, Any]) -> dict[str, Any]:
    masked = {**grader}
    if isinstance(masked.get("headers"), dict):
        masked["headers"] = dict.fromkeys(masked["headers"], "***")
    if isinstance(masked.get("url"), str):
        masked["url"] = without_secrets(masked["url"])
    return masked


def invalid_row(index: int, reason: str) -> RowOutcome:
    """The outcome of what cannot be read as a row."""
    return RowOutcome(index, failed(Failure(Flag.OTHER, reason)))


class Unreadable(msgspec.Struct, frozen=True):
    """Stands in a data set for a row that could not be read; it is graded as invalid, for this reason."""

    reason: str


def scope_reader(sample_field: str | None) -> ScopeOf:
    """How to read rows: `{"item", "model_sample" | "sample"}`, or flat ones with the output in a field."""
    return _paired if sample_field is None else functools.partial(_flat, sample_field)


def _paired(row: Any) -> Scope:
    if not isinstance(row, Mapping):
        raise _not_a_row(row)
    get = row.get
    model_sample, sample = get("model_sample"), get("sample")
    if model_sample is None and sample is None:
        keys = ", ".join(map(str, row)) or "none"
        raise InvalidRow(
            f"The row has neither `model_sample` nor `sample` (its keys: {keys}). "
            "Where the model's output stands in another field of a flat row, name it as the sample field."
        )
    return scope_of(
        get("item"),
        model_sample=model_sample,
        sample=sample,
        reference_answer=get("reference_answer"),
    )


def _not_a_row(row: Any) -> InvalidRow:
    if isinstance(row, Unreadable):
        return InvalidRow(row.reason)
    return InvalidRow(f"A row must be an object, but this is {kind_of(row)}.")


def _flat(field: str, row: Any) -> Scope:
    if not isinstance(row, Mapping):
        raise _not_a_row(row)
    if field not in row:
        keys = ", ".join(map(str, row)) or "none"
        raise InvalidRow(f"The row has no field `{field}` (its keys: {keys}).")
    item = {key: value for key, value in row.items() if key != field}
    output = row[field]
    if isinstance(output, dict):
        return scope_of(item, sample=output)
    return scope_of(item, model_sample=output)
