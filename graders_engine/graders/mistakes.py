"""The hosted API's messages about an invalid request, each with its code."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from graders_engine.errors import Mistake
from graders_engine.language.json_fault import json_fault
from graders_engine.language.scope import kind_of
from graders_engine.language.span import SyntaxIssue
from graders_engine.language.spelling import nearest


def listed(values: Sequence[str], word: str) -> str:
    """`'a'`, `'a' and 'b'`, `'a', 'b', and 'c'`."""
    quoted = [f"'{value}'" for value in values]
    if len(quoted) < 3:
        return f" {word} ".join(quoted)
    return f"{', '.join(quoted[:-1])}, {word} {quoted[-1]}"


def invalid_type(path: str, expected: str, value: Any) -> Mistake:
    """A value of the wrong JSON type."""
    message = f"Invalid type for '{path}': expected {expected}, but got {kind_of(value)} instead."
    return Mistake(message, path, "invalid_type")


def missing(path: str) -> Mistake:
    """A required key that is missing."""
    return Mistake(f"Missing required parameter: '{path}'.", path, "missing_required_parameter")


def unknown(path: str, key: str, known: Collection[str]) -> Mistake:
    """A key that does not exist here."""
    near = nearest(key, known)
    advice = f" Did you mean '{near}'?" if near else ""
    return Mistake(f"Unknown parameter: '{path}'.{advice}", path, "unknown_parameter")


def unsupported(path: str, value: str, supported: Sequence[str]) -> Mistake:
    """A word that is not supported."""
    near = nearest(value, supported)
    return Mistake(
        f"Invalid value: '{value}'. Supported values are: {listed(supported, 'and')}.",
        path,
        "invalid_value",
        hint=f"Did you mean '{near}'?" if near else "",
    )


def out_of_range(path: str, value: float, bound: float, side: str) -> Mistake:
    """A number outside its range; `side` is "minimum" or "maximum"."""
    word = "integer" if isinstance(bound, int) else "decimal"
    relation, place = (">=", "below") if side == "minimum" else ("<=", "above")
    return Mistake(
        f"Invalid '{path}': {word} {place} {side} value. "
        f"Expected a value {relation} {bound:g}, but got {value} instead.",
        path,
        f"{word}_{place}_{side[:3]}_value",
    )


def wrong_length(path: str, length: int, bound: int, side: str) -> Mistake:
    """An array with too few or too many elements; `side` is "minimum" or "maximum"."""
    if length == 0 and bound == 1:
        message = (
            "empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        return Mistake(f"Invalid '{path}': {message}", path, "empty_array")
    place, adjective = ("below", "short") if side == "minimum" else ("above", "long")
    return Mistake(
        f"Invalid '{path}': array too {adjective}. Expected an array with {side} length {bound}, "
        f"but got an array with length {length} instead.",
        path,
        f"array_{place}_{side[:3]}_length",
    )


def invalid(path: str, reason: str, *, detail: str = "", hint: str = "") -> Mistake:
    """A value of the right type that is not allowed."""
    return Mistake(f"Invalid '{path}': {reason}", path, "invalid_value", detail, hint)


def invalid_source(path: str, issues: Sequence[SyntaxIssue]) -> list[Mistake]:
    """The issues of a template or formula, each with its line and a caret."""
    return [
        invalid(
            path,
            f"{issue.reason} (line {issue.span.line}, column {issue.span.column}).",
            detail=issue.span.caret(),
        )
        for issue in issues
    ]


_MAX_SOUGHT = 64 * 1024
"""Bytes of a body in which a fault is sought again; that takes Python's time for each part of it."""


def unreadable_json(body: bytes, error: ValueError) -> Mistake:
    """A body with a slip, with its place where the body is short."""
    fault = json_fault(body.decode("utf-8", "replace")) if len(body) <= _MAX_SOUGHT else None
    if fault is None:
        return unreadable_body(str(error))
    return unreadable_body(f"{fault.reason} (line {fault.span.line}, column {fault.span.column})")


def unreadable_body(reason: str) -> Mistake:
    """A body that is not JSON."""
    return Mistake(
        "Invalid body: failed to parse JSON value. "
        f"Please check the value to ensure it is valid JSON: {reason}."
    )
