"""What a cell of a CSV looks like, where it does not look like a text."""

from __future__ import annotations

import ast
import json
import math
import re
from typing import Any

from graders_engine.language import strict_json
from graders_engine.language.syntax_tree import expression_tree

_MAX_CHARS = 2_000
"""A longer cell is a text: to read it as Python's literal takes long."""
_MAX_DIGITS = 40
_TRUTH = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}
"""Truth values as pandas, spreadsheets and JSON write them."""
_OTHER_TRUTH = {
    "True": "False", "TRUE": "FALSE", "true": "false", "False": "True", "FALSE": "TRUE", "false": "true",
}  # fmt: skip
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_KINDS = {bool: "truth value", int: "number", float: "number", list: "list", dict: "object"}


def may_be_value(cell: Any) -> bool:
    """Whether `value_of` may find something; lists and objects, which take long, are not read."""
    if not isinstance(cell, str) or len(cell) > _MAX_CHARS:
        return False
    cell = cell.strip()
    return cell in _TRUTH or _is_bracketed(cell) or _NUMBER.fullmatch(cell) is not None


def value_of(cell: Any) -> Any:
    """The number, truth value, list or object that a cell looks like; None for a text, or for no cell.

    `007` and `+3` are numbers, and lists and objects may be written as in JSON or as in Python.
    """
    if not isinstance(cell, str) or len(cell) > _MAX_CHARS:
        return None
    cell = cell.strip()
    if cell in _TRUTH:
        return _TRUTH[cell]
    if _NUMBER.fullmatch(cell):
        return _number(cell) if len(cell) <= _MAX_DIGITS else None
    return _listed(cell) if _is_bracketed(cell) else None


def other_of(cell: str, value: Any) -> tuple[str, Any]:
    """Another value of the same kind, as a cell of the same spelling and as itself.

    Args:
        cell: a cell.
        value: its `value_of`.
    """
    if isinstance(value, bool):
        return _OTHER_TRUTH[cell.strip()], not value
    if isinstance(value, (int, float)):
        other: Any = value * 7 + 13  # far away, so that no tolerance takes it for the same
        return json.dumps(other), other
    empty: Any = [] if isinstance(value, list) else {}
    other = empty if value else ["other"] if isinstance(value, list) else {"other": "other"}
    return json.dumps(other) if _is_json(cell) else repr(other), other


def kind_of_value(value: Any) -> str:
    """What a `value_of` is called."""
    return _KINDS[type(value)]


def _is_bracketed(cell: str) -> bool:
    return cell[:1] + cell[-1:] in ("[]", "{}")


def _number(text: str) -> int | float | None:
    try:
        return int(text)
    except ValueError:
        number = float(text)
        return number if math.isfinite(number * 7) else None


def _listed(text: str) -> Any:
    try:
        return strict_json.decode(text)
    except ValueError:
        pass
    try:
        value = ast.literal_eval(expression_tree(text))
        strict_json.encode_exactly(value)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    return value if type(value) in (list, dict) else None


def _is_json(text: str) -> bool:
    try:
        strict_json.decode(text)
    except ValueError:
        return False
    return True
