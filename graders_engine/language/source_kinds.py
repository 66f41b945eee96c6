"""Which names and expressions of a python source are plainly texts, and which are numbers.

A name is followed by its spelling alone, in whichever function it stands.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_TEXT_MAKERS = frozenset(
    {"capitalize", "casefold", "chr", "format", "group", "join", "lower", "lstrip", "normalize",
     "removeprefix", "removesuffix", "replace", "repr", "rstrip", "str", "strip", "sub", "title", "upper"}
)  # fmt: skip
_TEXTS_MAKERS = frozenset(
    {"findall", "groups", "partition", "rpartition", "rsplit", "split", "splitlines"}
)
_NUMBER_MAKERS = frozenset(
    {"Decimal", "Fraction", "abs", "count", "float", "int", "len", "round", "sum"}
)
MOST_STEPS = 4
"""How far a value is followed from name to name, where the names are not assigned in that order."""


class Binding(NamedTuple):
    """A name, and what is assigned to it, or looped over with it."""

    name: str
    value: ast.expr
    looped: bool = False


def bindings_of(node: ast.AST) -> Iterator[Binding]:
    """The names that a node binds to an expression."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _paired(target, node.value)
    elif isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.NamedExpr)):
        if node.value is not None:
            yield from _paired(node.target, node.value)
    elif isinstance(node, (ast.For, ast.comprehension)) and isinstance(node.target, ast.Name):
        yield Binding(node.target.id, node.iter, looped=True)


def _paired(target: ast.expr, value: ast.expr) -> Iterator[Binding]:
    if isinstance(target, ast.Name):
        yield Binding(target.id, value)
        return
    elements = [one.elts for one in (target, value) if isinstance(one, ast.Tuple)]
    if len(elements) == 2 and len(elements[0]) == len(elements[1]):
        for pair in zip(*elements, strict=True):
            yield from _paired(*pair)


class Kinds:
    """Which names, functions and expressions are plainly texts, and which are numbers.

    Args:
        nodes: of the source.
    """

    def __init__(self, nodes: Sequence[ast.AST]) -> None:
        self.bindings = [one for node in nodes for one in bindings_of(node)]
        returns = [one for node in nodes for one in _returned(node)]
        self._texts: set[str] = set()
        self._lists: set[str] = set()
        self._numbers: set[str] = set()
        for _ in range(MOST_STEPS):
            for name, value, looped in [*self.bindings, *returns]:
                if looped:
                    self._texts |= {name} if self._is_texts(value) else set()
                    continue
                self._texts |= {name} if self.is_text(value) else set()
                self._lists |= {name} if self._is_texts(value) else set()
                self._numbers |= {name} if self.is_number(value) else set()

    def is_text(self, node: ast.expr) -> bool:
        """Whether an expression is plainly a text, so that what it is compared with should be one."""
        if isinstance(node, ast.Subscript):
            key = node.slice
            output = isinstance(key, ast.Constant) and key.value == "output_text"
            return output or self._is_texts(node.value) or self.is_text(node.value)
        if isinstance(node, ast.Call):
            first = node.args[0] if called(node) == "get" and node.args else None
            output = isinstance(first, ast.Constant) and first.value == "output_text"
            return output or called(node) in _TEXT_MAKERS or f"{called(node)}()" in self._texts
        if isinstance(node, ast.BinOp) and not isinstance(node.op, (ast.Add, ast.Mod)):
            return False
        return (
            isinstance(node, ast.JoinedStr)
            or (isinstance(node, ast.Constant) and isinstance(node.value, str))
            or (isinstance(node, ast.Name) and node.id in self._texts)
            or any(map(self.is_text, either(node)[::-1]))
        )

    def _is_texts(self, node: ast.expr) -> bool:
        """Whether an expression is plainly a list of texts."""
        if isinstance(node, ast.Call):
            return called(node) in _TEXTS_MAKERS or f"{called(node)}()" in self._lists
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
            return self.is_text(node.elt)
        if isinstance(node, ast.Subscript):
            return isinstance(node.slice, ast.Slice) and self._is_texts(node.value)
        return isinstance(node, ast.Name) and node.id in self._lists

    def is_number(self, node: ast.expr) -> bool:
        """Whether an expression is plainly a number or a truth value, or a written list of these."""
        if isinstance(node, ast.Call):
            return called(node) in _NUMBER_MAKERS or f"{called(node)}()" in self._numbers
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return bool(node.elts) and all(map(self.is_number, node.elts))
        if isinstance(node, ast.UnaryOp):
            return self.is_number(node.operand)
        return (
            (isinstance(node, ast.Constant) and isinstance(node.value, (int, float)))
            or (isinstance(node, ast.Name) and node.id in self._numbers - self._texts)
            or any(map(self.is_number, either(node)[::-1]))
        )


def _returned(node: ast.AST) -> Iterator[Binding]:
    """What a function gives, under its name with `()`."""
    if isinstance(node, ast.FunctionDef):
        for part in ast.walk(node):
            if isinstance(part, ast.Return) and part.value is not None:
                yield Binding(f"{node.name}()", part.value)


def either(node: ast.expr) -> list[ast.expr]:
    """The expressions of which one is, or gives its kind to, this one."""
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    return same(node)


def same(node: ast.expr) -> list[ast.expr]:
    """The expressions of which one is this one."""
    if isinstance(node, ast.BoolOp):
        return node.values if isinstance(node.op, ast.Or) else node.values[-1:]
    if isinstance(node, ast.IfExp):
        return [node.body, node.orelse]
    return [node.value] if isinstance(node, ast.NamedExpr) else []


def called(node: ast.Call) -> str:
    """The name of the function or method that is called; empty for what has none."""
    return getattr(node.func, "attr", "") or getattr(node.func, "id", "")
