"""The fields of a row that the grader reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graders_engine.errors import GradersError
from graders_engine.language.scope import Scope
from graders_engine.language.template import Variable
from graders_engine.preflight.grader_facts import GraderFacts

MISSING: Any = object()
"""The value of a field that a row does not have."""
Field = Callable[[Any], Any]
"""Takes the field's value out of an item; `MISSING` without one."""
_MESSAGES = "messages"
"""The prompt itself, which is no answer."""


def fields_read(facts: GraderFacts | None) -> dict[str, Field]:
    """Name -> field, for the item's fields that templates and python sources read, but for the prompt."""
    if facts is None:
        return {}
    found: dict[str, Field] = {}
    for _, variable in facts.variables:
        if variable.namespace == "item":
            found.setdefault(variable.name, _by_variable(variable))
    for _, reads in facts.python:
        for key, _ in [*reads.item_needs, *reads.item_may]:
            found.setdefault(f"item.{key}", field_of(key))
    return {
        name: field for name, field in found.items() if not name.startswith(f"item.{_MESSAGES}")
    }


def templates_only(facts: GraderFacts | None, name: str) -> bool:
    """Whether only templates read the field: they render `3` and `"3"` alike."""
    if facts is None:
        return True
    keys = {key for _, reads in facts.python for key, _ in [*reads.item_needs, *reads.item_may]}
    return name.removeprefix("item.") not in keys


def _by_variable(variable: Variable) -> Field:
    def value(item: Any) -> Any:
        try:
            return variable.value(Scope(item, "", absent=True))
        except GradersError:
            return MISSING

    return value


def field_of(key: str) -> Field:
    """The field of an item by its key."""

    def value(item: Any) -> Any:
        return item.get(key, MISSING) if isinstance(item, Mapping) else MISSING

    return value
