"""What kinds of JSON values there are."""

from __future__ import annotations

from typing import Any


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
