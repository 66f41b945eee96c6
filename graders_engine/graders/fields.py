"""Field types that the specs share: templates, formulas and words from a list, checked as they are parsed.

A field compiles its little language while pydantic validates it, so the mistakes of form and those of meaning
come out together, each with its path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, PlainValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from graders_engine.errors import Mistake
from graders_engine.graders import mistakes
from graders_engine.language.formula import Formula
from graders_engine.language.span import SourceError
from graders_engine.language.template import Template


@dataclass(frozen=True, slots=True)
class Reading:
    """What a field's check needs to know of the whole grader; pydantic hands it down as the context.

    Attributes:
        keys: the names that a formula may use; None to let every name pass.
        check_sources: whether a python source that cannot run is a mistake. Where it is not, running
            it fails, as it does at the hosted service.
    """

    keys: tuple[str, ...] | None = None
    check_sources: bool = True


FOUND = "found"
"""The error type under which `found` carries our own mistakes through pydantic."""
TYPE, SHAPE = "by_type", "by_shape"
"""The error types of the two kinds of union below, when no member fits."""


def reading(info: ValidationInfo) -> Reading:
    """The context of a check; the most lenient formulas, and checked sources, where there is none."""
    return info.context if isinstance(info.context, Reading) else Reading()


def found(describe: Callable[[str], Iterable[Mistake]]) -> PydanticCustomError:
    """An error for pydantic; `describe` is called with the field's path, which only pydantic knows."""
    return PydanticCustomError(FOUND, "a mistake of our own", {"describe": describe})


def _template(value: Any) -> Template:
    if not isinstance(value, str):
        raise found(lambda path: [mistakes.invalid_type(path, "a string", value)])
    try:
        return Template.compile(value)
    except SourceError as error:
        issues = error.issues
        raise found(lambda path: mistakes.invalid_source(path, issues)) from None


def _formula(value: Any, info: ValidationInfo) -> Formula:
    if not isinstance(value, str):
        raise found(lambda path: [mistakes.invalid_type(path, "a string", value)])
    try:
        return Formula.compile(value, reading(info).keys)
    except SourceError as error:
        issues = error.issues
        raise found(lambda path: mistakes.invalid_source(path, issues)) from None


TemplateField = Annotated[Template, PlainValidator(_template, json_schema_input_type=str)]
"""A string that is a template."""

FormulaField = Annotated[Formula, PlainValidator(_formula, json_schema_input_type=str)]
"""A string that is a formula over the keys that the context (`Reading`) holds."""


def one_of(*supported: str, also: Sequence[str] = ()) -> BeforeValidator:
    """A validator for a word from a list; `also` are spellings that are accepted but not advertised."""
    accepted = frozenset((*supported, *also))

    def check(value: Any) -> Any:
        if isinstance(value, str) and value in accepted:
            return value
        if isinstance(value, str):
            raise found(lambda path: [mistakes.unsupported(path, value, supported)])
        expected = f"one of {mistakes.listed(supported, 'or')}"
        raise found(lambda path: [mistakes.invalid_type(path, expected, value)])

    return BeforeValidator(check, json_schema_input_type=str)


def by_type(*supported: str) -> Discriminator:
    """A discriminator on the key `type`; the union's tags are the supported words in angle brackets."""

    def tag(value: Any) -> str | None:
        name = value.get("type") if isinstance(value, dict) else None
        return f"<{name}>" if isinstance(name, str) else None

    # The message carries the supported words: a discriminator with a context cannot be hashed.
    return Discriminator(tag, custom_error_type=TYPE, custom_error_message=" ".join(supported))


def by_shape(*shapes: type) -> Discriminator:
    """A discriminator on the JSON type (str, dict, list); the tags are the types' names in brackets."""

    def tag(value: Any) -> str | None:
        return next((f"<{shape.__name__}>" for shape in shapes if isinstance(value, shape)), None)

    words = [_SHAPES[shape] for shape in shapes]
    expected = f"{', '.join(words[:-1])}{',' if len(words) > 2 else ''} or {words[-1]}"
    return Discriminator(tag, custom_error_type=SHAPE, custom_error_message=expected)


_SHAPES: dict[type, str] = {str: "a string", dict: "an object", list: "an array"}
