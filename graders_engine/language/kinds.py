"""What kinds of JSON values there are."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

_MAX_DEPTH = 64
"""How deep a value is looked at for types that are not JSON's own."""


def kind_of(value: Any) -> str:
    """The type of a JSON value in the hosted API's words: "a string", "an integer", "null", ..."""
    if value is None:
        return "null"
    for types, word in _KINDS:
        if isinstance(value, types):
            return word
    return f"a Python {type(value).__name__}"


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (str, "a string"),
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a decimal"),
    (dict, "an object"),
    ((list, tuple), "an array"),
)


def plain(value: Any, depth: int = 0) -> Any:
    """A value with JSON's own types in place of other mappings, tuples and kinds of text."""
    if depth > _MAX_DEPTH:
        return value
    if isinstance(value, str):
        return value if type(value) is str else str.__str__(value)
    if isinstance(value, Mapping):
        made = {key: plain(part, depth + 1) for key, part in value.items()}
        same = type(value) is dict and all(made[key] is part for key, part in value.items())
        return value if same else made
    if isinstance(value, (list, tuple)):
        parts = [plain(part, depth + 1) for part in value]
        same = type(value) is list and all(map(operator.is_, parts, value))
        return value if same else parts
    return value
