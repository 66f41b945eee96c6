"""Field types that the specs share: templates and words from a list.

Templates, and the formula of a multi, are compiled while pydantic validates the field, so mistakes in them
are reported together with all others, each with its path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, Discriminator, PlainValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from graders_engine.errors import Mistake
from graders_engine.graders import mistakes
from graders_engine.language.as_served import Strictness, compile_as_served
from graders_engine.language.span import SourceError
from graders_engine.language.template import Template


@dataclass(frozen=True, slots=True)
class ParseOptions:
    """What the check of a field needs to know about the whole grader; passed as pydantic's context.

    Attributes:
        keys: the names that a formula may use; None allows every name.
        check_sources: whether a python source that cannot run is a mistake. If not, running it fails, as
            at the hosted service.
        templates: whether a template that cannot be read is a mistake.
        shared_rows: whether the rows of a python grader share a process, so that a source which executes
            text or data as code is a mistake.
    """

    keys: tuple[str, ...] | None = None
    check_sources: bool = True
    templates: Strictness = "strict"
    shared_rows: bool = False


OWN_MISTAKES = "own_mistakes"
"""The error type with which `field_error` passes mistakes through pydantic."""
BY_TYPE, BY_SHAPE = "by_type", "by_shape"
"""The error types of the two kinds of union below, for a value that fits no member."""


def parse_options(info: ValidationInfo) -> ParseOptions:
    """The context of a check; the defaults if there is no context."""
    return info.context if isinstance(info.context, ParseOptions) else ParseOptions()


def field_error(describe: Callable[[str], Iterable[Mistake]]) -> PydanticCustomError:
    """An error for pydantic; `describe` is called with the field's path, which only pydantic knows."""
    return PydanticCustomError(OWN_MISTAKES, "mistakes of our own", {"describe": describe})


def _compile_template(value: Any, info: ValidationInfo) -> Template:
    if not isinstance(value, str):
        raise field_error(lambda path: [mistakes.invalid_type(path, "a string", value)])
    if parse_options(info).templates == "as_served":
        return compile_as_served(value)
    try:
        return Template.compile(value)
    except SourceError as error:
        issues = error.issues
        raise field_error(lambda path: mistakes.invalid_source(path, issues)) from None


TemplateField = Annotated[Template, PlainValidator(_compile_template, json_schema_input_type=str)]
"""A string that is a template."""


def one_of(words: Any, unlisted: Sequence[str] = ()) -> BeforeValidator:
    """A validator for a word from a list.

    Args:
        words: the accepted words, as a `Literal`.
        unlisted: those of them that messages do not mention.
    """
    accepted = frozenset(get_args(words))
    supported = [word for word in get_args(words) if word not in unlisted]

    def check(value: Any) -> Any:
        if isinstance(value, str) and value in accepted:
            return value
        if isinstance(value, str):
            raise field_error(lambda path: [mistakes.unsupported(path, value, supported)])
        expected = f"one of {mistakes.listed(supported, 'or')}"
        raise field_error(lambda path: [mistakes.invalid_type(path, expected, value)])

    return BeforeValidator(check, json_schema_input_type=words)


def by_type(*supported: str) -> Discriminator:
    """A discriminator on the key `type`; the tags of the union are the supported words in angle brackets."""

    def tag(value: Any) -> str | None:
        name = value.get("type") if isinstance(value, dict) else None
        return f"<{name}>" if isinstance(name, str) else None

    # The supported words are in the message because a discriminator with a context cannot be hashed.
    return Discriminator(tag, custom_error_type=BY_TYPE, custom_error_message=" ".join(supported))


def by_shape(*shapes: type) -> Discriminator:
    """A discriminator on the JSON type (str, dict, list); the tags are their names in angle brackets."""

    def tag(value: Any) -> str | None:
        return next((f"<{shape.__name__}>" for shape in shapes if isinstance(value, shape)), None)

    words = [_SHAPES[shape] for shape in shapes]
    expected = f"{', '.join(words[:-1])}{',' if len(words) > 2 else ''} or {words[-1]}"
    return Discriminator(tag, custom_error_type=BY_SHAPE, custom_error_message=expected)


_SHAPES: dict[type, str] = {str: "a string", dict: "an object", list: "an array"}
