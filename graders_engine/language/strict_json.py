"""JSON text to values, as RFC 8259 has it: without NaN and Infinity, without ever recursing too deep."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import msgspec


def _refuse(literal: str) -> NoReturn:
    raise ValueError(f"{literal} is not JSON")


def decode(text: str | bytes) -> Any:
    """Parse one JSON document.

    msgspec reads the common case; what it refuses and the standard library allows (a lone surrogate in an
    escape, a number beyond the range of a double) goes to the latter, so that the values are `json.loads`'s.

    Raises:
        ValueError: the text is not JSON, or nests deeper than the interpreter can follow.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        try:
            return json.loads(text, parse_constant=_refuse)
        except RecursionError:
            raise ValueError("the JSON text nests too deep") from None


def encode(value: Any) -> bytes:
    """JSON text of values, whatever `decode` can give included; what JSON cannot express becomes null.

    Raises:
        ValueError: the values nest too deep, or are no JSON values at all.
    """
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, UnicodeError, RecursionError):
        try:
            return json.dumps(value, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"the row cannot be written as JSON: {error}") from None
