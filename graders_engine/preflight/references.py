"""Reference answers: the sample that a perfect model would give for a row."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from graders_engine.errors import GradersError, GradingError, InvalidRequest
from graders_engine.graders.base import GraderSpec
from graders_engine.graders.python import PythonGrader
from graders_engine.graders.string_check import StringCheckGrader
from graders_engine.graders.text_similarity import TextSimilarityGrader
from graders_engine.language.scope import Scope
from graders_engine.language.span import SourceError
from graders_engine.language.template import Template
from graders_engine.preflight.grader_facts import CHANNELS, GraderFacts
from graders_engine.preflight.schemas.fits import fitted

Confidence = Literal["given", "derived", "guessed"]
"""Whether the user named the answer, the grader's templates imply it, or a field's name suggests it."""

Sample = str | dict[str, Any]
"""A text, or a whole sample object."""

GUESSED = (
    "reference_answer", "reference", "answer", "expected_answer", "expected", "expected_output",
    "ground_truth", "gold", "label", "correct_answer", "solution",
)  # fmt: skip
"""Names of fields that usually hold the right answer, the most usual first."""
_SHORT_CHARS = 60
_FORM = re.compile(r"\bjson\b|\bast\b|boxed|####|</|<\w+>|[Aa]nswer(?: is)?\s*(?:\\s[*+])?\s*:")
"""What a source holds that looks for an answer in JSON, in LaTeX, in tags or after a mark."""
_SAMPLE_KEYS = {"choices", "messages", "output", "text"} | {*CHANNELS, "output_reasoning_summary"}
"""An object without any of these is what the model writes, not a sample."""


@dataclass(frozen=True, slots=True)
class ReferenceSource:
    """Where reference answers come from.

    Attributes:
        confidence: how sure it is that they are right answers.
        field: the row's field they are taken from; empty if they come from templates.
        read: whether the field was guessed and the grader reads it: its name says that it is the answer.
        formed: whether an answer may have another form than the field's value: an object, a long text, or
            one that is marked.
        marked: whether the grader looks for a part of an answer: a text in tags, in a box, in JSON, after a
            mark.
    """

    confidence: Confidence
    field: str = ""
    read: bool = False
    formed: bool = False
    marked: bool = False
    _template: Any = None
    _facts: GraderFacts | None = None
    _schema: Mapping[str, Any] | None = None

    def sample_of(self, item: Any) -> Sample | None:
        """The reference answer of a row; None if it has none."""
        if self._template is not None:
            return self._fitted(_rendered(self._template, item))
        if self.field:
            if not isinstance(item, Mapping) or item.get(self.field) is None:
                return None
            return as_text(item[self.field])
        return self._fitted(_derived(self._facts, item)) if self._facts else None

    def _fitted(self, sample: Sample | None) -> Sample | None:
        """An answer that templates made, with numbers in place of their texts where a schema wants them."""
        if self._schema is None or not isinstance(sample, str) or sample.lstrip()[:1] not in "{[":
            return sample
        try:
            return as_text(fitted(json.loads(sample), self._schema, self._schema))
        except (ValueError, RecursionError):
            return sample


def reference_source(
    facts: GraderFacts | None,
    rows: Sequence[Any],
    *,
    field: str | None = None,
    template: str | None = None,
    schema: Mapping[str, Any] | None = None,
) -> ReferenceSource | None:
    """Where the reference answers of these items come from; None if there are none.

    Args:
        facts: the grader.
        rows: some items.
        field: the field that the user named.
        template: the template that the user gave.
        schema: that of the job's response format, to which answers that templates make are fitted.

    Raises:
        InvalidRequest: the template cannot be read.
    """
    if template is not None:
        return ReferenceSource("given", _template=_compiled(template), _schema=schema)
    if field is not None:
        return ReferenceSource("given", field)
    if facts is None:
        return None
    if any(_derived(facts, item) is not None for item in rows):
        return ReferenceSource("derived", _facts=facts, _schema=schema)
    needed = _keys_read(facts)
    everywhere = [
        name
        for name in GUESSED
        if rows and all(isinstance(item, Mapping) and name in item for item in rows)
    ]
    guessed = next((name for name in everywhere if name in needed), next(iter(everywhere), None))
    text_read = "output_text" in facts.channels or "output_json" in facts.channels
    if guessed is None or not text_read:
        return None
    marked = _asks_for_a_form(facts)
    formed = marked or not all(_is_short(item[guessed]) for item in rows)
    # One value for all rows is a setting, whatever its name says.
    differs = any(item[guessed] != rows[0][guessed] for item in rows)
    return ReferenceSource("guessed", guessed, guessed in needed and differs, formed, marked)


def _keys_read(facts: GraderFacts) -> set[str]:
    """The fields of a row that templates and python sources read as a whole."""
    found = {
        str(variable.steps[0])
        for _, variable in facts.variables
        if variable.namespace == "item" and len(variable.steps) == 1
    }
    return found | {
        key for _, reads in facts.python for key, _ in (*reads.item_needs, *reads.item_may)
    }


def _asks_for_a_form(facts: GraderFacts) -> bool:
    """Whether an answer seems to need more than the value: JSON, a box, a tag, a mark before it."""
    sources = (spec.source for _, spec in facts.leaves if isinstance(spec, PythonGrader))
    return ("output_json" in facts.channels and "output_text" not in facts.channels) or any(
        _FORM.search(source) for source in sources
    )


def _is_short(value: Any) -> bool:
    """Whether a value may be written by a model as it stands."""
    if value is None or type(value) in (int, float):
        return True
    return isinstance(value, str) and len(value) <= _SHORT_CHARS and "\n" not in value


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
    """The sample that makes true all comparisons with one `{{sample.…}}` on a side.

    There is none if the comparisons contradict each other, or if a template reads a path of the sample's JSON
    of which no comparison says what should be there.
    """
    scope = Scope(item, "", absent=True)
    wanted: list[_Wanted] = []
    parts: dict[str, Any] = {}
    filled: set[tuple[Any, ...]] = set()
    for _, spec in facts.leaves:
        for one in _comparisons(spec):
            try:
                value = one.other.render(scope)
            except GradersError:
                return None
            if one.steps == ("output_text",):
                wanted.append(_Wanted(value, one.operation, sample_first=one.sample_first))
            elif one.steps[0] == "output_json" and one.steps[1:] and _is_path(one.steps):
                filled.add(one.steps)
                _put(parts, one.steps[1:], value)
    if parts:
        return json.dumps(parts, ensure_ascii=False) if _json_paths(facts) <= filled else None
    candidates = (one.value for one in wanted)
    return next((text for text in candidates if all(one.met_by(text) for one in wanted)), None)


class _Comparison(NamedTuple):
    """A comparison of something in the sample with what a row says.

    Attributes:
        steps: where it is in the sample.
        other: the other side.
        operation: as of a string_check; "similar" for a similarity.
        sample_first: whether the sample is the input.
    """

    steps: tuple[Any, ...]
    other: Template
    operation: str
    sample_first: bool


class _Wanted(NamedTuple):
    """What a comparison wants of the sample's text."""

    value: str
    operation: str
    sample_first: bool

    def met_by(self, text: str) -> bool:
        """Whether a text makes the comparison true, or as similar as can be."""
        whole, part = (text, self.value) if self.sample_first else (self.value, text)
        if self.operation == "like":
            return part in whole
        if self.operation == "ilike":
            return part.lower() in whole.lower()
        return text == self.value


def _json_paths(facts: GraderFacts) -> set[tuple[Any, ...]]:
    """The paths in the sample's JSON that templates read."""
    return {
        variable.steps
        for _, variable in facts.variables
        if variable.namespace == "sample"
        and variable.steps[0] == "output_json"
        and len(variable.steps) > 1
    }


def _is_path(steps: tuple[Any, ...]) -> bool:
    """Whether steps lead through objects only: what else a list would hold is not known."""
    return all(type(step) is str for step in steps)


def _put(into: dict[str, Any], steps: Sequence[Any], value: Any) -> None:
    for step in steps[:-1]:
        below = into.setdefault(step, {})
        if not isinstance(below, dict):
            return
        into = below
    into.setdefault(steps[-1], value)


def _comparisons(spec: GraderSpec) -> Iterator[_Comparison]:
    """The comparisons of a grader that say what something in the sample should be."""
    if not isinstance(spec, (StringCheckGrader, TextSimilarityGrader)):
        return
    operation = spec.operation if isinstance(spec, StringCheckGrader) else "similar"
    if operation in ("ne", "neq"):
        return
    for one, other in ((spec.input, spec.reference), (spec.reference, spec.input)):
        alone = len(one.variables) == 1 and not one.literal_length
        item_only = all(variable.namespace == "item" for variable in other.variables)
        if alone and item_only and one.variables[0].namespace == "sample":
            yield _Comparison(one.variables[0].steps, other, operation, one is spec.input)
