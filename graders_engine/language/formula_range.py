"""The values that a formula can have, by interval arithmetic over its tree."""

from __future__ import annotations

import ast
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from graders_engine.language.formula import Formula


class Interval(NamedTuple):
    """All numbers from `low` to `high`."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """How far its ends are from each other."""
        return self.high - self.low


UNBOUNDED = Interval(-math.inf, math.inf)
"""The values of a part of which nothing is known."""
_MOST_NODES = 100_000
"""Most nodes that are computed for one formula, over all cases."""
_PIECES = 64
"""Into how many pieces the values of a part are cut that a formula uses more than once."""


class NoValue(Exception):
    """Raised if a formula may have no value: a pole, or a function outside its domain."""


@dataclass(frozen=True, slots=True)
class PartRange:
    """What a part of a multi can give.

    Attributes:
        interval: the lowest and the highest reward; `UNBOUNDED` if unknown.
        values: all its rewards, if they are few.
    """

    interval: Interval
    values: tuple[float, ...] = ()


def range_of_formula(formula: Formula, parts: Mapping[str, PartRange]) -> Interval | None:
    """The lowest and the highest value of a formula; None if that is unknown, or it may have none.

    Exact where each part is used once or has few values. The values of a part that is used more than once
    are cut into pieces, whose ends are computed; where that takes too long, it is an outer bound.
    """
    used = {key: parts[key] for key in formula.names}
    tree = formula.tree
    most = max(_MOST_NODES // sum(1 for _ in ast.walk(tree)), 1)
    times = Counter(use.text for use in formula.uses)
    choices: dict[str, Sequence[Interval]] = {
        key: [Interval(value, value) for value in part.values] or [part.interval]
        for key, part in used.items()
    }
    for key, part in used.items():
        if times[key] > 1 and not part.values and math.isfinite(part.interval.width):
            choices[key] = _pieces(part.interval)
    while math.prod(map(len, choices.values())) > most:
        longest = max(choices, key=lambda key: len(choices[key]))
        choices[longest] = [used[longest].interval]

    def hull(cases: Mapping[str, Sequence[Interval]]) -> Interval:
        return _hull(
            interval_of(tree, formula, dict(zip(cases, case, strict=True)))
            for case in itertools.product(*cases.values())
        )

    try:
        whole = hull(choices)
        if any(len(cases) == _PIECES for cases in choices.values()):
            # The pieces have a value everywhere; they are a little wider than what they cover.
            whole = hull({key: _ends(cases) for key, cases in choices.items()})
    except NoValue:
        return None
    return whole if math.isfinite(whole.low) and math.isfinite(whole.high) else None


def _ends(cases: Sequence[Interval]) -> Sequence[Interval]:
    """The ends of pieces; other intervals as they are."""
    if len(cases) != _PIECES:
        return cases
    return [Interval(end, end) for end in (*(case.low for case in cases), cases[-1].high)]


def _pieces(whole: Interval) -> list[Interval]:
    ends = [whole.low + whole.width * position / _PIECES for position in range(_PIECES)]
    return [Interval(low, high) for low, high in itertools.pairwise([*ends, whole.high])]


def _hull(intervals: Iterable[Interval]) -> Interval:
    lows, highs = zip(*intervals, strict=True)
    return Interval(min(lows), max(highs))


def interval_of(node: ast.expr, formula: Formula, ranges: Mapping[str, Interval]) -> Interval:
    """The values of a node, for these values of the parts; an outer bound if a part is used twice.

    Raises:
        NoValue: there may be none.
    """
    if isinstance(node, ast.Constant):
        return Interval(float(node.value), float(node.value))  # type: ignore[arg-type]  # numbers only
    if isinstance(node, ast.Name):
        return ranges[formula.key_of(node)]
    if isinstance(node, ast.UnaryOp):
        inner = interval_of(node.operand, formula, ranges)
        return Interval(-inner.high, -inner.low) if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BinOp):
        left = interval_of(node.left, formula, ranges)
        right = interval_of(node.right, formula, ranges)
        return _OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        inside = [interval_of(argument, formula, ranges) for argument in node.args]
        return _FUNCTIONS[node.func.id](*inside)
    raise NoValue


def _plus(left: Interval, right: Interval) -> Interval:
    return Interval(left.low + right.low, left.high + right.high)


def _minus(left: Interval, right: Interval) -> Interval:
    return Interval(left.low - right.high, left.high - right.low)


def _times(left: Interval, right: Interval) -> Interval:
    # What is unbounded is finite all the same: times 0 it is 0.
    ends = [a * b if a and b else 0.0 for a in left for b in right]
    return Interval(min(ends), max(ends))


def _over(left: Interval, right: Interval) -> Interval:
    if right.low <= 0.0 <= right.high:
        raise NoValue
    return _times(left, Interval(1.0 / right.high, 1.0 / right.low))


def _power(base: Interval, exponent: Interval) -> Interval:
    whole = exponent.width == 0 and exponent.low == math.floor(exponent.low)
    if base.low < 0 and not (whole and math.isfinite(base.width)):
        raise NoValue
    if base.low <= 0.0 <= base.high and exponent.low < 0:
        raise NoValue
    ends = [_bounded(math.pow, a, b) for a in base for b in exponent]
    if base.low < 0.0 < base.high and exponent.low > 0:
        ends.append(0.0)
    return Interval(min(ends), max(ends))


def _bounded(compute: Callable[..., float], *values: float) -> float:
    try:
        return compute(*values)
    except OverflowError:
        return math.inf


def _rising(
    compute: Callable[[float], float], lowest: float = -math.inf
) -> Callable[..., Interval]:
    """A function that never falls, from where it has a value."""

    def applied(inside: Interval) -> Interval:
        if inside.low < lowest:
            raise NoValue
        return Interval(_bounded(compute, inside.low), _bounded(compute, inside.high))

    return applied


def _log(inside: Interval) -> Interval:
    if inside.low <= 0:
        raise NoValue
    return Interval(math.log(inside.low), math.log(inside.high))


def _rounded(compute: Callable[[float], int]) -> Callable[..., Interval]:
    return _rising(lambda value: float(compute(value)) if math.isfinite(value) else value)


def _abs(inside: Interval) -> Interval:
    ends = abs(inside.low), abs(inside.high)
    return Interval(0.0 if inside.low < 0 < inside.high else min(ends), max(ends))


def _by_end(compute: Callable[..., float]) -> Callable[..., Interval]:
    return lambda *inside: Interval(
        compute([one.low for one in inside]), compute([one.high for one in inside])
    )


_OPERATORS: dict[type[ast.operator], Callable[[Interval, Interval], Interval]] = {
    ast.Add: _plus,
    ast.Sub: _minus,
    ast.Mult: _times,
    ast.Div: _over,
    ast.Pow: _power,
}
_FUNCTIONS: dict[str, Callable[..., Interval]] = {
    "min": _by_end(min),
    "max": _by_end(max),
    "abs": _abs,
    "floor": _rounded(math.floor),
    "ceil": _rounded(math.ceil),
    "exp": _rising(math.exp),
    "sqrt": _rising(math.sqrt, 0.0),
    "log": _log,
}


def keys_in(node: ast.expr, formula: Formula) -> tuple[str, ...]:
    """The keys that a node uses, in the order of their first use."""
    called = {id(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)}
    names = (part for part in ast.walk(node) if isinstance(part, ast.Name))
    return tuple(dict.fromkeys(formula.key_of(name) for name in names if id(name) not in called))


def addends_of(node: ast.expr) -> Iterator[ast.expr]:
    """What a node adds up; the node itself if it is no sum."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        yield from addends_of(node.left)
        yield from addends_of(node.right)
    else:
        yield node
