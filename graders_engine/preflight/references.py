"""Reference answers: the sample that a perfect model would give for a row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from graders_engine.errors import GradersError, GradingError, InvalidRequest
from graders_engine.graders.base import GraderSpec
from graders_engine.graders.string_check import StringCheckGrader
from graders_engine.graders.text_similarity import TextSimilarityGrader
from graders_engine.language.scope import Scope
from graders_engine.language.span import SourceError
from graders_engine.language.template import Template
from graders_engine.preflight.grader_facts import CHANNELS, GraderFacts

Confidence = Literal["given", "derived", "guessed"]
"""Whether the user named the answer, the grader's templates imply it, or a field's name suggests it."""

Sample = str | dict[str, Any]
"""A text, or a whole sample object."""

GUESSED = (
    "reference_answer", "reference", "answer", "expected_answer", "expected", "expected_output",
    "ground_truth", "gold", "label", "correct_answer", "solution",
)  # fmt: skip
"""Names of fields that usually hold the right answer, the most usual first."""
_SAMPLE_KEYS = {"choices", "messages", "output", "text"} | {*CHANNELS, "output_reasoning_summary"}
"""An object without any of these is what the model writes, not a sample."""


@dataclass(frozen=True, slots=True)
class ReferenceSource:
    """Where reference answers come from.

    Attributes:
        confidence: how sure it is that they are right answers.
        field: the row's field they are taken from; empty if they come from templates.
    """

    confidence: Confidence
    field: str = ""
    _template: Any = None
    _facts: GraderFacts | None = None

    def sample_of(self, item: Any) -> Sample | None:
        """The reference answer of a row; None if it has none."""
        if self._template is not None:
            return _rendered(self._template, item)
        if self.field:
            if not isinstance(item, Mapping) or item.get(self.field) is None:
                return None
            return as_text(item[self.field])
        return _derived(self._facts, item) if self._facts else None


def reference_source(
    facts: GraderFacts | None,
    rows: Sequence[Any],
    *,
    field: str | None = None,
    template: str | None = None,
) -> ReferenceSource | None:
    """Where the reference answers of these items come from; None if there are none.

    Args:
        facts: the grader.
        rows: some items.
        field: the field that the user named.
        template: the template that the user gave.

    Raises:
        InvalidRequest: the template cannot be read.
    """
    if template is not None:
        return ReferenceSource("given", _template=_compiled(template))
    if field is not None:
        return ReferenceSource("given", field)
    if facts is None:
        return None
    if any(_derived(facts, item) is not None for item in rows):
        return ReferenceSource("derived", _facts=facts)
    needed = {key for _, reads in facts.python for key, _ in reads.item_needs}
    everywhere = [
        name
        for name in GUESSED
        if rows and all(isinstance(item, Mapping) and name in item for item in rows)
    ]
    guessed = next((name for name in everywhere if name in needed), next(iter(everywhere), None))
    text_read = "output_text" in facts.channels or "output_json" in facts.channels
    return ReferenceSource("guessed", guessed) if guessed and text_read else None


def as_text(value: Any) -> str:
    """A value of a row as a model would write it: a text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _compiled(source: str) -> Any:
    """A template, or a JSON value whose texts are templates."""
    try:
        value = json.loads(source)
    except ValueError:
        value = source
    if not isinstance(value, dict):
        value = source
    return _each_text(value, _template)


def _template(source: str) -> Template:
    try:
        return Template.compile(source)
    except SourceError as error:
        raise InvalidRequest(f"The reference template cannot be read: {error}") from None


def _each_text(value: Any, change: Any) -> Any:
    if isinstance(value, (str, Template)):
        return change(value)
    if isinstance(value, dict):
        return {key: _each_text(part, change) for key, part in value.items()}
    if isinstance(value, list):
        return [_each_text(part, change) for part in value]
    return value


def _rendered(template: Any, item: Any) -> Sample | None:
    scope = Scope(item, "", absent=True)
    try:
        rendered: Sample = _each_text(template, lambda one: one.render(scope))
    except GradingError:
        return None
    is_answer = isinstance(rendered, dict) and not _SAMPLE_KEYS.intersection(rendered)
    return as_text(rendered) if is_answer else rendered


def _derived(facts: GraderFacts, item: Any) -> Sample | None:
    """The sample that all comparisons with one `{{sample.…}}` on a side make true."""
    scope = Scope(item, "", absent=True)
    text: str | None = None
    parts: dict[str, Any] = {}
    for _, spec in facts.leaves:
        for steps, other in _sides(spec):
            try:
                value = other.render(scope)
            except GradersError:
                return None
            if steps == ("output_text",):
                text = value if text is None else text
            elif steps[0] == "output_json" and steps[1:] and all(type(s) is str for s in steps):
                _put(parts, steps[1:], value)
    if parts:
        return json.dumps(parts, ensure_ascii=False)
    return text


def _put(into: dict[str, Any], steps: Sequence[Any], value: Any) -> None:
    for step in steps[:-1]:
        below = into.setdefault(step, {})
        if not isinstance(below, dict):
            return
        into = below
    into.setdefault(steps[-1], value)


def _sides(spec: GraderSpec) -> list[tuple[tuple[Any, ...], Template]]:
    """(steps into the sample, the other side) of a comparison that says what the sample should be."""
    if not isinstance(spec, (StringCheckGrader, TextSimilarityGrader)):
        return []
    if isinstance(spec, StringCheckGrader) and spec.operation in ("ne", "neq"):
        return []
    found = []
    for one, other in ((spec.input, spec.reference), (spec.reference, spec.input)):
        alone = len(one.variables) == 1 and not one.literal_length
        item_only = all(variable.namespace == "item" for variable in other.variables)
        if alone and item_only and one.variables[0].namespace == "sample":
            found.append((one.variables[0].steps, other))
    return found
