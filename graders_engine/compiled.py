"""A compiled grader, and how it reads and grades rows."""

from __future__ import annotations

import copy
import functools
import logging
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import msgspec

from graders_engine.errors import InvalidRow, Mistake, NoOutput, UnavailableGrader
from graders_engine.graders.base import Evaluator, GraderSpec, Services, attempt
from graders_engine.graders.parse import json_values, parse
from graders_engine.graders.parts import map_parts
from graders_engine.graders.templates import lenient_cautions, templates_in
from graders_engine.language.as_served import LenientTemplate, Strictness
from graders_engine.language.scope import Scope, kind_of, scope_of
from graders_engine.models.redaction import without_secrets
from graders_engine.outcome import Blame, Failure, Flag, RowOutcome, failed

_log = logging.getLogger("graders_engine")

ScopeOf = Callable[[Any], Scope]
"""Makes the scope of a data set's row; raises InvalidRow."""


class CompiledGrader:
    """A parsed and compiled grader. Pass it to an engine in place of the JSON, to compile it only once.

    Example::

        compiled = engine.compile(grader)
        for sample in samples:
            print(engine.run(compiled, item=item, model_sample=sample).reward)

    Args:
        grader: a dict, JSON text, or an object of the `openai` package.
        services: what its evaluator may use.
        check_sources: whether a python source that cannot run is a mistake.
        templates: whether a template that cannot be read is a mistake.
        evaluator: evaluates the rows in place of the evaluator that the grader compiles to.

    Attributes:
        given: the grader as JSON values.
        spec: the parsed grader.

    Raises:
        InvalidGrader: with all mistakes.
    """

    def __init__(
        self,
        grader: Any,
        services: Services,
        *,
        check_sources: bool = True,
        templates: Strictness = "strict",
        evaluator: Evaluator | None = None,
    ) -> None:
        self.given: dict[str, Any] = json_values(grader)
        self.spec: GraderSpec = parse(self.given, check_sources=check_sources, templates=templates)
        self._services = services
        self._evaluator = evaluator

    @property
    def evaluator(self) -> Evaluator:
        """Evaluates rows; created on first use.

        Raises:
            UnavailableGrader: the engine cannot run the grader.
        """
        if self._evaluator is None:
            self._evaluator = self.spec.compile(self._services)
            for caution in lenient_cautions(self.spec):
                _log.warning("%s", caution)
        return self._evaluator

    def with_evaluator(self, evaluator: Evaluator) -> CompiledGrader:
        """The same grader with another evaluator, such as one with a cache."""
        other = copy.copy(self)
        other._evaluator = evaluator
        return other

    def require_runnable(self) -> None:
        """Make sure that the engine can run the grader.

        Raises:
            UnavailableGrader: it cannot.
        """
        _ = self.evaluator

    @functools.cached_property
    def masked(self) -> dict[str, Any]:
        """The grader for files and reports, with the headers and queries of endpoints masked."""
        masked: dict[str, Any] = map_parts(self.given, _mask)
        return masked

    @property
    def type(self) -> str:
        """The grader's `type`."""
        return str(self.given["type"])

    def warnings(self) -> tuple[Mistake, ...]:
        """What is allowed but probably unintended."""
        cautions = [*self.spec.cautions(self._services), *lenient_cautions(self.spec)]
        try:
            if self._evaluator is None:
                self.spec.compile(self._services)
        except UnavailableGrader as error:
            cautions.append(Mistake(str(error)))
        return tuple(cautions)

    @functools.cached_property
    def lenient(self) -> bool:
        """Whether a template of it was compiled that the strict grammar refuses."""
        return any(isinstance(template, LenientTemplate) for _, template in templates_in(self.spec))

    async def grade(self, index: int, scope: Scope) -> RowOutcome:
        """Grade one row."""
        started = perf_counter()
        outcome = await attempt(self.evaluator, scope)
        return RowOutcome(index, outcome, scope.flags(), perf_counter() - started)

    async def grade_row(self, index: int, row: Any, scope: ScopeOf) -> RowOutcome:
        """Grade one row of a data set; an invalid row gives an outcome too."""
        try:
            return await self.grade(index, scope(row))
        except InvalidRow as error:
            return invalid_row(index, error)

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


def invalid_row(index: int, error: InvalidRow) -> RowOutcome:
    """The outcome of an invalid row."""
    return RowOutcome(index, failed(Failure(Flag.OTHER, str(error), error.blame)))


class Unreadable(msgspec.Struct, frozen=True):
    """Replaces a row of a data set that could not be read, for this reason.

    Attributes:
        reason: a sentence.
        blame: as of `errors.InvalidRow`. By "row" it is graded as invalid, by "infrastructure" as failed.
    """

    reason: str
    blame: Blame = "row"

    @classmethod
    def by(cls, error: InvalidRow) -> Unreadable:
        """What replaces the row that this error was raised for."""
        return cls(str(error), error.blame)

    def error(self) -> InvalidRow:
        """That error again."""
        return (NoOutput if self.blame == "infrastructure" else InvalidRow)(self.reason)


def scope_reader(sample_field: str | None) -> ScopeOf:
    """Reads rows: `{"item", "model_sample" | "sample"}`, or flat ones with the model's output in a field."""
    return _item_and_sample if sample_field is None else functools.partial(_flat_row, sample_field)


def _item_and_sample(row: Any) -> Scope:
    if not isinstance(row, Mapping):
        raise _not_a_row(row)
    get = row.get
    model_sample, sample = get("model_sample"), get("sample")
    if model_sample is None and sample is None:
        keys = ", ".join(map(str, row)) or "none"
        raise InvalidRow(
            f"The row has neither `model_sample` nor `sample` (its keys: {keys}). "
            "If the model's output is in another field of a flat row, name it as the sample field."
        )
    return scope_of(
        get("item"),
        model_sample=model_sample,
        sample=sample,
        reference_answer=get("reference_answer"),
    )


def _not_a_row(row: Any) -> InvalidRow:
    if isinstance(row, Unreadable):
        return row.error()
    return InvalidRow(f"A row must be an object, but this is {kind_of(row)}.")


def _flat_row(field: str, row: Any) -> Scope:
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
