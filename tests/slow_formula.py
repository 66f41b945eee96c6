"""The formula language once more, written for clarity: the grammar as functions, a value at each step."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

Values = Mapping[str, float]


class _Failure(Exception):
    """Carries the kind of a formula's failure."""


def slow_value(source: str, values: Values) -> float | str:
    """The formula's value, or the kind of its failure. The formula must be well-formed."""
    tokens = re.findall(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|\w+|\S", source)
    try:
        value = _sum(tokens, values)
    except _Failure as failure:
        return str(failure)
    assert not tokens
    return value


def _chain(
    tokens: list[str], values: Values, marks: str, operand: Callable[[list[str], Values], float]
) -> float:
    value = operand(tokens, values)
    while tokens and tokens[0] in marks:
        mark = tokens.pop(0)
        other = operand(tokens, values)
        if mark == "/" and other == 0:
            raise _Failure("zero_division")
        if mark in "+-":
            value = value + other if mark == "+" else value - other
        else:
            value = value * other if mark == "*" else value / other
        _check(value)
    return value


def _sum(tokens: list[str], values: Values) -> float:
    return _chain(tokens, values, "+-", _product)


def _product(tokens: list[str], values: Values) -> float:
    return _chain(tokens, values, "*/", _signed)


def _signed(tokens: list[str], values: Values) -> float:
    if tokens[0] in "+-":
        return -_signed(tokens, values) if tokens.pop(0) == "-" else _signed(tokens, values)
    return _power(tokens, values)


def _power(tokens: list[str], values: Values) -> float:
    base = _operand(tokens, values)
    if not tokens or tokens[0] != "^":
        return base
    tokens.pop(0)
    exponent = _signed(tokens, values)
    if base == 0 and exponent < 0:
        raise _Failure("zero_division")
    try:
        value = base**exponent
    except OverflowError:
        raise _Failure("overflow") from None
    if isinstance(value, complex):
        raise _Failure("domain")
    return _check(value)


def _operand(tokens: list[str], values: Values) -> float:
    first = tokens.pop(0)
    if first == "(":
        value = _sum(tokens, values)
        assert tokens.pop(0) == ")"
        return value
    if tokens and tokens[0] == "(":
        return _call(first, tokens, values)
    return values[first] if first in values else float(first)


def _call(name: str, tokens: list[str], values: Values) -> float:
    arguments = []
    while tokens.pop(0) != ")":
        arguments.append(_sum(tokens, values))
    first = arguments[0]
    if (name == "sqrt" and first < 0) or (name == "log" and first <= 0):
        raise _Failure("domain")
    if name == "exp" and first > 709.782712893384:
        raise _Failure("overflow")
    if name in ("min", "max"):
        return sorted(arguments)[0 if name == "min" else -1]
    return float(_FUNCTIONS[name](first))


_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "abs": abs,
    "floor": math.floor,
    "ceil": math.ceil,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "log": math.log,
}


def _check(value: float) -> float:
    if math.isinf(value):
        raise _Failure("overflow")
    return value
