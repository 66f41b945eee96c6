"""The functions of the formula language."""

from __future__ import annotations

import math
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
