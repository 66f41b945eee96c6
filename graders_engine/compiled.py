"""A compiled grader, and how it reads and grades rows."""

from __future__ import annotations

import copy
import dataclasses
import functools
import logging
from collections.abc import Generator, Iterable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from graders_engine.batches import LONG_CHARS, comparing, graded_together
from graders_engine.errors import (
    InvalidRow,
    Mistake,
    UnavailableGrader,
)
from graders_engine.graders.base import (
    Evaluator,
    GraderSpec,
    Immediate,
    Services,
    attempt,
    attempt_now,
)
from graders_engine.graders.parse import json_values, parse
from graders_engine.graders.parts import map_parts
from graders_engine.graders.templates import lenient_cautions, template_cautions, templates_in
from graders_engine.language.as_served import LenientTemplate, Strictness
from graders_engine.language.scope import Scope
from graders_engine.models.redaction import without_secrets
from graders_engine.outcome import Failure, Flag, RowOutcome, failed
from graders_engine.outputs.row_scope import ScopeOf as ScopeOf
from graders_engine.outputs.row_scope import scope_reader as scope_reader
from graders_engine.outputs.unreadable import Unreadable as Unreadable

if TYPE_CHECKING:
    from graders_engine.sandbox.base import Sandbox

_log = logging.getLogger("graders_engine")


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
        self.spec: GraderSpec = parse(
            self.given,
            check_sources=check_sources,
            templates=templates,
            shared_rows=services.shared_rows,
        )
        self._services = services
        self._evaluator = evaluator
        self._may_be_lenient = templates == "as_served"

    @property
    def evaluator(self) -> Evaluator:
        """Evaluates rows; created on first use.

        Raises:
            UnavailableGrader: the engine cannot run the grader.
        """
        if self._evaluator is None:
            self._evaluator = self.spec.compile(self._services)
            named = f"grader {name}: " if (name := self.given.get("name")) else ""
            for caution in lenient_cautions(self.spec) if self._may_be_lenient else ():
                _log.warning("%s%s", named, caution)
        return self._evaluator

    def with_evaluator(self, evaluator: Evaluator) -> CompiledGrader:
        """The same grader with another evaluator, such as one with a cache."""
        other = copy.copy(self)
        other._evaluator = evaluator
        other.__dict__.pop("_immediate", None)
        return other

    def with_sandbox(self, sandbox: Sandbox) -> CompiledGrader:
        """The same grader, whose python parts run in this sandbox; who made the sandbox closes it."""
        other = copy.copy(self)
        other._services = dataclasses.replace(self._services, sandbox=sandbox)
        other._evaluator = None
        other.__dict__.pop("_immediate", None)
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

    @functools.cached_property
    def reads_sample(self) -> bool:
        """Whether it reads the model's output; if not, rows need none."""
        return self.spec.reads_sample()

    @property
    def type(self) -> str:
        """The grader's `type`."""
        return str(self.given["type"])

    @property
    def metric_variants(self) -> Mapping[str, str]:
        """By metric, the variant that it computes in place of the default."""
        return self._services.metric_variants

    def warnings(self) -> tuple[Mistake, ...]:
        """What is allowed but probably unintended."""
        cautions = [
            *self.misreadings(),
            *self.spec.cautions(self._services),
            *lenient_cautions(self.spec),
        ]
        try:
            if self._evaluator is None:
                self.spec.compile(self._services)
        except UnavailableGrader as error:
            cautions.append(Mistake(str(error)))
        return tuple(cautions)

    def misreadings(self) -> tuple[Mistake, ...]:
        """Those of the warnings about texts and code that probably mean something else than was meant."""
        return (*template_cautions(self.spec), *self.spec.misreadings())

    @functools.cached_property
    def lenient(self) -> bool:
        """Whether a template of it was compiled that the strict grammar refuses."""
        return any(isinstance(template, LenientTemplate) for _, template in templates_in(self.spec))

    def scope_reader(self, sample_field: str | None = None) -> ScopeOf:
        """Reads rows for this grader: as the function of this name."""
        return scope_reader(sample_field, lambda: self.reads_sample)

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
            return await self._without_sample(index, error)

    def grade_now(self, index: int, scope: Scope) -> RowOutcome:
        """`grade` without an event loop, for an evaluator that does not wait."""
        started = perf_counter()
        outcome = attempt_now(self._immediate, scope)
        return RowOutcome(index, outcome, scope.flags(), perf_counter() - started)

    def grade_row_now(self, index: int, row: Any, scope: ScopeOf) -> RowOutcome:
        """`grade_row` without an event loop, for an evaluator that does not wait."""
        try:
            given = scope(row)
        except InvalidRow as error:
            return self._without_sample_now(index, error)
        return self.grade_now(index, given)

    def grade_rows_now(
        self, rows: Iterable[Any], scope: ScopeOf, *, held: bool
    ) -> Generator[RowOutcome, None, None]:
        """`grade_row_now` for many rows.

        Args:
            rows: the rows.
            scope: reads them.
            held: whether rows may be taken before the outcomes of those before them are: long texts are then
                compared on all processors.
        """
        immediate = self._immediate
        together = comparing(immediate) if held else None
        numbered = enumerate(rows)
        for index, row in numbered:
            try:
                given = scope(row)
            except InvalidRow as error:
                yield self._without_sample_now(index, error)
                continue
            started = perf_counter()
            outcome = attempt_now(immediate, given)
            yield RowOutcome(index, outcome, given.flags(), perf_counter() - started)
            if together is not None and len(given.output_text) >= LONG_CHARS:
                yield from graded_together(together, numbered, scope, self.grade_row_now)

    @functools.cached_property
    def _immediate(self) -> Immediate:
        evaluator = self.evaluator
        if evaluator.waits or not isinstance(evaluator, Immediate):
            raise RuntimeError(
                f"{type(evaluator).__name__} says that it does not wait, but it does"
            )
        return evaluator

    def _without_sample_now(self, index: int, error: InvalidRow) -> RowOutcome:
        try:
            self._without_sample(index, error).send(None)
        except StopIteration as stop:
            outcome: RowOutcome = stop.value
            return outcome
        raise RuntimeError("a part of a grader that does not wait does")

    async def _without_sample(self, index: int, error: InvalidRow) -> RowOutcome:
        """The outcome of an invalid row; where only its sample is missing, some parts have a reward."""
        if not error.item or not any(self._parts_of_item.values()):
            return invalid_row(index, error)
        from graders_engine.graders.multi import graded_by_item  # loaded already: it has parts

        started = perf_counter()
        missing = Failure(Flag.OTHER, str(error), error.blame)
        outcome = await graded_by_item(self._parts_of_item, error.item[0], missing)
        return RowOutcome(index, outcome, (), perf_counter() - started)

    @functools.cached_property
    def _parts_of_item(self) -> dict[str, Evaluator | None]:
        """By key, what evaluates the parts that read the item alone; None for the others.

        They are not watched for outages: that a sample is missing says nothing of a judge.
        """
        return {
            key: None if part.reads_sample() else part.compile(self._services)
            for key, part in self.spec.parts().items()
        }


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
