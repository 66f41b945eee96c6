"""The templates in a grader's spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

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
