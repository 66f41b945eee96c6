"""The functions and operators of the formula language."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language.

    Attributes:
        min_arguments: fewest arguments that it takes.
        max_arguments: most arguments that it takes; None for any number.
        call: computes its value.
    """

    min_arguments: int
    max_arguments: int | None
    call: Callable[..., float]


FUNCTIONS: dict[str, Function] = {
    "min": Function(1, None, lambda *values: min(values)),
    "max": Function(1, None, lambda *values: max(values)),
    "abs": Function(1, 1, abs),
    "floor": Function(1, 1, lambda value: float(math.floor(value))),
    "ceil": Function(1, 1, lambda value: float(math.ceil(value))),
    "exp": Function(1, 1, math.exp),
    "sqrt": Function(1, 1, math.sqrt),
    "log": Function(1, 1, math.log),
}


def _finite(compute: Callable[[float, float], float]) -> Callable[[float, float], float]:
    def computed(left: float, right: float) -> float:
        value = compute(left, right)
        if math.isinf(value):
            raise OverflowError
        return value

    return computed


def _power(base: float, exponent: float) -> float:
    if base == 0 and exponent < 0:
        raise ZeroDivisionError
    return math.pow(base, exponent)


OPERATORS = {
    ast.Add: _finite(operator.add),
    ast.Sub: _finite(operator.sub),
    ast.Mult: _finite(operator.mul),
    ast.Div: _finite(operator.truediv),
    ast.Pow: _power,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
"""What computes the value of each operator, by its class in Python's syntax tree."""
