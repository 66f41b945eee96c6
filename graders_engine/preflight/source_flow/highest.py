"""The most that a source's `grade` can return, as far as its numbers say."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_DEEPEST = 60
_SAME = ("float", "int", "round", "abs")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


class Bounds(NamedTuple):
    """Between what a number is.

    Attributes:
        low: the least.
        high: the most.
        counted: whether something in it was counted or measured, and so taken for a number from 0 to 1.
    """

    low: float
    high: float
    counted: bool = False


_TRUTH = Bounds(0.0, 1.0)
_MEASURED = Bounds(0.0, 1.0, counted=True)
Names = dict[str, Bounds]


def highest_returned(tree: ast.Module) -> float | None:
    """The most that `grade` can return; None if no number says.

    What is counted or measured counts as a share, from 0 to 1, of what it is multiplied with. A sum of known
    numbers that is divided by something unknown is a share itself.
    """
    try:
        found = _Source(tree).of_function("grade")
    except RecursionError:
        return None
    return None if found is None else found.high


class _Source:
    """The functions and the numbers of a module."""

    def __init__(self, tree: ast.Module) -> None:
        self.functions = {
            node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)
        }
        self.names: Names = {}
        self._found: dict[str, Bounds | None] = {}
        self._assign(_statements(tree.body), self.names)

    def of_function(self, name: str) -> Bounds | None:
        """Between what the numbers are that a function returns."""
        if name in self._found or name not in self.functions:
            return self._found.get(name)
        self._found[name] = None  # for a function that calls itself
        names = dict(self.names)
        statements = list(_statements(self.functions[name].body))
        self._assign(statements, names)
        returned = [node.value for node, _ in statements if isinstance(node, ast.Return)]
        self._found[name] = _any(self._of(value, names) for value in returned)
        return self._found[name]

    def _assign(self, statements: Iterable[tuple[ast.stmt, bool]], names: Names) -> None:
        """Note what numbers names have after these statements."""
        for node, repeated in statements:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name, value = node.targets[0].id, self._of(node.value, names)
                if found := _any([names.get(name), value]):
                    names[name] = found
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                name = node.target.id
                before = names.get(name, _MEASURED)
                more = self._of(node.value, names) or _MEASURED
                if found := _combined(node.op, before, more):
                    both = _any([before, found]) or before
                    names[name] = both._replace(counted=both.counted or repeated)

    def _of(self, node: ast.expr | None, names: Names, depth: int = 0) -> Bounds | None:
        if depth > _DEEPEST:
            return None
        match node:
            case ast.Constant(value=bool() | int() | float() as number):
                return _constant(number)
            case ast.Name(id=name):
                return names.get(name)
            case ast.Compare() | ast.UnaryOp(op=ast.Not()):
                return _TRUTH
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                found = self._of(inner, names, depth + 1)
                return found and Bounds(-found.high, -found.low, found.counted)
            case ast.IfExp(body=body, orelse=orelse):
                return _any(self._of(one, names, depth + 1) for one in (body, orelse))
            case ast.BinOp(left=left, op=op, right=right):
                one, other = (self._of(side, names, depth + 1) for side in (left, right))
                known = one is not None or other is not None
                return _combined(op, one or _MEASURED, other or _MEASURED) if known else None
            case ast.Call():
                return self._of_call(node, names, depth)
        return None

    def _of_call(self, node: ast.Call, names: Names, depth: int) -> Bounds | None:
        name = getattr(node.func, "id", "")
        if name in ("bool", "any", "all", "isinstance"):
            return _TRUTH
        if name in self.functions:
            return self.of_function(name)
        values = [self._of(part, names, depth + 1) for part in node.args]
        known = [value for value in values if value is not None]
        if not known or name not in (*_SAME, "min", "max"):
            return None
        if name in _SAME:
            return values[0]
        low, highs = min([0.0, *(value.low for value in known)]), [value.high for value in known]
        if name == "max":
            return Bounds(low, max(highs))
        limits = [value.high for value in known if not value.counted]  # a count has no limit
        return Bounds(low, min(limits or highs))


def _constant(number: float) -> Bounds | None:
    try:
        return Bounds(float(number), float(number))
    except OverflowError:
        return None


def _any(found: Iterable[Bounds | None]) -> Bounds | None:
    """Bounds around all of these that are known."""
    known = [one for one in found if one is not None]
    if not known:
        return None
    return Bounds(
        min(one.low for one in known),
        max(one.high for one in known),
        any(one.counted for one in known),
    )


def _combined(op: ast.operator, one: Bounds, other: Bounds) -> Bounds | None:
    counted = one.counted or other.counted
    match op:
        case ast.Add():
            return Bounds(one.low + other.low, one.high + other.high, counted)
        case ast.Sub():
            return Bounds(one.low - other.high, one.high - other.low, counted)
        case ast.Mult():
            ends = [a * b for a in (one.low, one.high) for b in (other.low, other.high)]
            return Bounds(min(ends), max(ends), counted)
        case ast.Div() | ast.FloorDiv():
            return _divided(one, other)
    return None


def _divided(one: Bounds, other: Bounds) -> Bounds | None:
    if (
        other.counted
    ):  # the number of what was counted: a percentage stays one, a sum becomes a share
        return one if one.counted else None
    if other.low <= 0.0 <= other.high:
        return None
    ends = [a / b for a in (one.low, one.high) for b in (other.low, other.high)]
    return Bounds(min(ends), max(ends), one.counted)


def _statements(
    body: Iterable[ast.stmt], repeated: bool = False
) -> Iterator[tuple[ast.stmt, bool]]:
    """Each statement in its order, with whether it stands in a loop; not those of functions inside."""
    for node in body:
        if isinstance(node, _FUNCTIONS):
            continue
        yield node, repeated
        inside = repeated or isinstance(node, (ast.For, ast.While))
        blocks = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
        blocks += [handler.body for handler in getattr(node, "handlers", [])]
        blocks += [case.body for case in getattr(node, "cases", [])]
        for block in blocks:
            yield from _statements(block, inside)
