"""What each part of a multi weighs: its factor in the formula, and the share of the scale that it moves."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass

from graders_engine.language.formula import Formula
from graders_engine.language.formula_range import (
    Interval,
    NoValue,
    addends_of,
    interval_of,
    keys_in,
)
from graders_engine.preflight.grader_facts import GraderFacts


@dataclass(frozen=True, slots=True)
class Addend:
    """A term of a sum in a formula.

    Attributes:
        keys: the parts in it.
        width: how far it moves the sum.
    """

    keys: tuple[str, ...]
    width: float


def weights_of(facts: GraderFacts) -> Mapping[str, float] | None:
    """The factor of each part in the formula; None if it is no weighted sum of its parts.

    A sum that is cut off at numbers, as in `min(1, a + b)`, counts as the sum.
    """
    if facts.multi is None:
        return None
    found = _linear(_inside_limits(facts.multi.calculate_output.tree), facts.multi.calculate_output)
    return None if found is None else {key: found.get(key, 0.0) for key in facts.multi.graders}


def addends(facts: GraderFacts) -> tuple[Addend, ...]:
    """The terms with parts that the formula adds up; empty if it adds none, or a width is unknown."""
    if facts.multi is None:
        return ()
    ranges = facts.part_widths
    weights = weights_of(facts)
    if weights is not None:
        found = [
            Addend((key,), abs(weight) * ranges[key].width)
            for key, weight in weights.items()
            if weight
        ]
    else:
        found = _terms(facts.multi.calculate_output, ranges)
    known = len(found) > 1 and all(math.isfinite(addend.width) for addend in found)
    return tuple(found) if known else ()


def _terms(formula: Formula, ranges: Mapping[str, Interval]) -> list[Addend]:
    """The terms of the outermost sum of a formula that is no weighted sum."""
    node: ast.expr = _inside_limits(formula.tree)
    while isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
        sides = [side for side in (node.left, node.right) if len(list(addends_of(side))) > 1]
        if len(sides) != 1:
            break
        node = _inside_limits(sides[0])  # a factor of the whole sum changes no share
    found = []
    for term in addends_of(node):
        keys = keys_in(term, formula)
        try:
            width = interval_of(term, formula, ranges).width
        except NoValue:
            width = math.inf
        if keys:
            found.append(Addend(keys, width))
    return found


def _inside_limits(node: ast.expr) -> ast.expr:
    """What stands inside `min` and `max` with numbers."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        inside = [one for one in node.args if _number(one) is None]
        if node.func.id not in ("min", "max") or len(inside) != 1:
            break
        node = inside[0]
    return node


def _number(node: ast.expr) -> float | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, float):
        return node.value
    if isinstance(node, ast.UnaryOp):
        inner = _number(node.operand)
        return -inner if inner is not None and isinstance(node.op, ast.USub) else inner
    return None


def _linear(node: ast.expr, formula: Formula) -> dict[str, float] | None:
    """The factors of the keys, and of 1 under an empty key; None for what is no weighted sum."""
    if (number := _number(node)) is not None:
        return {"": number}
    if isinstance(node, ast.Name):
        return {formula.key_of(node): 1.0}
    if isinstance(node, ast.UnaryOp):
        inner = _linear(node.operand, formula)
        return _scaled(inner, -1.0 if isinstance(node.op, ast.USub) else 1.0)
    if not isinstance(node, ast.BinOp):
        return None
    left, right = _linear(node.left, formula), _linear(node.right, formula)
    if left is None or right is None:
        return None
    if isinstance(node.op, (ast.Add, ast.Sub)):
        signed = _scaled(right, -1.0 if isinstance(node.op, ast.Sub) else 1.0) or {}
        return {key: left.get(key, 0.0) + signed.get(key, 0.0) for key in {**left, **signed}}
    return _product(node.op, left, right)


def _product(
    operator: ast.operator, left: dict[str, float], right: dict[str, float]
) -> dict[str, float] | None:
    if isinstance(operator, ast.Div):
        constant = right.get("", 0.0)
        return _scaled(left, 1.0 / constant) if set(right) == {""} and constant else None
    if isinstance(operator, ast.Mult):
        for one, other in ((left, right), (right, left)):
            if set(one) == {""}:
                return _scaled(other, one[""])
    return None


def _scaled(factors: dict[str, float] | None, by: float) -> dict[str, float] | None:
    return None if factors is None else {key: by * factor for key, factor in factors.items()}
