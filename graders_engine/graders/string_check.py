"""string_check: compare two texts."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Literal

from graders_engine.graders.base import GraderSpec, Services
from graders_engine.graders.fields import TemplateField, one_of
from graders_engine.graders.templates import variables_in
from graders_engine.language.scope import Scope
from graders_engine.outcome import Outcome, rewarded


def _contains(text: str, part: str) -> bool:
    return part in text


def _contains_ignoring_case(text: str, part: str) -> bool:
    return part.lower() in text.lower()


Operation = Literal["eq", "ne", "like", "ilike", "neq"]
OPERATIONS: dict[Operation, Callable[[str, str], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "like": _contains,
    "ilike": _contains_ignoring_case,
    "neq": operator.ne,
}
"""(input, reference) -> pass, without trimming, normalisation or wildcards (API guide; an Azure run)."""

_PASS, _NO_PASS = rewarded(1.0), rewarded(0.0)


class StringCheckGrader(GraderSpec):
    """Compares `input` with `reference`: 1.0 or 0.0."""

    type: Literal["string_check"]
    input: TemplateField
    operation: Annotated[Operation, one_of(Operation, unlisted=("neq",))]
    reference: TemplateField

    def compile(self, services: Services) -> StringCheck:
        """Make the evaluator."""
        return StringCheck(self)


class StringCheck:
    """Evaluates a `StringCheckGrader`."""

    waits = False

    def __init__(self, spec: StringCheckGrader) -> None:
        self._passes = OPERATIONS[spec.operation]
        self.variables = variables_in(spec)
        self._input = spec.input.render
        self._reference = spec.reference.render

    async def evaluate(self, scope: Scope) -> Outcome:
        """As `compute`."""
        return self.compute(scope)

    def compute(self, scope: Scope) -> Outcome:
        """1.0 if the comparison is true, else 0.0."""
        return _PASS if self._passes(self._input(scope), self._reference(scope)) else _NO_PASS
