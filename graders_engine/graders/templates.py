"""The templates in a grader's spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from graders_engine.errors import Mistake
from graders_engine.language.as_served import LenientTemplate
from graders_engine.language.span import SyntaxIssue
from graders_engine.language.template import Template, Variable


def variables_in(spec: BaseModel) -> tuple[Variable, ...]:
    """Every variable of a grader's templates, in source order."""
    return tuple(variable for _, template in templates_in(spec) for variable in template.variables)


def templates_in(value: Any, path: str = "") -> Iterator[tuple[str, Template]]:
    """Every template in a grader's spec, or in a part of it, with its path in the grader."""
    if isinstance(value, Template):
        yield path, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from templates_in(getattr(value, name), f"{path}.{name}" if path else name)
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from templates_in(part, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for position, part in enumerate(value):
            yield from templates_in(part, f"{path}[{position}]")


def lenient_cautions(spec: BaseModel) -> Iterator[Mistake]:
    """What is wrong with each template that is compiled as the service took it, and what becomes of it."""
    for path, template in templates_in(spec):
        if not isinstance(template, LenientTemplate):
            continue
        for issues, sentence in ((template.faulty, _FAULTY), (template.unclosed, _UNCLOSED)):
            if issues:
                yield Mistake(sentence.format(path), path, detail=_first_of(issues))


_FAULTY = (
    "'{}' has what is not a variable between {{{{ and }}}}: as at the service, no row has a value for it, "
    "and each gets 0.0 with invalid_variable_error."
)
_UNCLOSED = "'{}' has {{{{ without }}}}: as at the service, it is text."


def _first_of(issues: list[SyntaxIssue]) -> str:
    more = f"\n(and {len(issues) - 1:,} more)" if len(issues) > 1 else ""
    return f"{issues[0]}{more}"
