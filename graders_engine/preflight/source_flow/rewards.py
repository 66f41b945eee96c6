"""The numbers that a source's `grade` returns, where they stand in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

Range = tuple[float, float]
_SAME = ("float", "int", "round")
_TRUTH: Range = (0.0, 1.0)
_DEEPEST = 12


def returned_range(tree: ast.Module) -> Range | None:
    """The lowest and the highest number that `grade` returns; None if they do not stand in it."""
    found = [node for node in tree.body if getattr(node, "name", "") == "grade"]
    if len(found) != 1 or not isinstance(found[0], ast.FunctionDef):
        return None
    ranges = [_range(value) for value in _returned(found[0])]
    known = [one for one in ranges if one is not None]
    if not known or len(known) < len(ranges):
        return None
    return min(low for low, _ in known), max(high for _, high in known)


def _returned(function: ast.FunctionDef) -> Iterator[ast.expr | None]:
    stack: list[ast.AST] = list(function.body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Return):
            yield node.value
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            stack.extend(ast.iter_child_nodes(node))


def _range(node: ast.expr | None, depth: int = 0) -> Range | None:
    if depth > _DEEPEST:
        return None
    match node:
        case ast.Constant(value=bool() | int() | float() as number):
            try:
                return float(number), float(number)
            except OverflowError:
                return None
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            found = _range(inner, depth + 1)
            return None if found is None else (-found[1], -found[0])
        case ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return _TRUTH
        case ast.IfExp(body=body, orelse=orelse):
            one, other = _range(body, depth + 1), _range(orelse, depth + 1)
            return None if not one or not other else (min(one[0], other[0]), max(one[1], other[1]))
        case ast.Call(func=ast.Name(id=name), args=[inner, *_]) if name in _SAME:
            return _range(inner, depth + 1)
        case ast.Call(func=ast.Name(id="bool")):
            return _TRUTH
        case ast.Call(func=ast.Name(id="min" | "max"), args=[_, _]):
            return _limited(node, depth)
    return None


def _limited(node: ast.Call, depth: int) -> Range | None:
    """`max(0.0, min(1.0, x))` is from 0 to 1, whatever `x` is."""
    outer, inner = _limit(node)
    if outer is None or inner is None:
        return None
    if known := _range(inner, depth + 1):
        choose = min if _name(node) == "min" else max
        return choose(known[0], outer), choose(known[1], outer)
    if isinstance(inner, ast.Call) and {_name(node), _name(inner)} == {"min", "max"}:
        other, _ = _limit(inner)
        if other is not None:
            return min(outer, other), max(outer, other)
    return None


def _name(node: ast.Call) -> str:
    return getattr(node.func, "id", "")


def _limit(node: ast.Call) -> tuple[float | None, ast.expr | None]:
    """The number and the other argument of a `min` or `max` of two."""
    if len(node.args) != 2:
        return None, None
    for one, other in (node.args, node.args[::-1]):
        found = _range(one)
        if found is not None and found[0] == found[1]:
            return found[0], other
    return None, None
