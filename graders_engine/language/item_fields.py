"""Where a python source names a field of the item."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

_READERS = ("get", "pop", "setdefault", "__getitem__")


def named_fields(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    """Where a field of the item is named: read, or asked for. A key that is computed is not seen.

    Args:
        tree: of the source.
    """
    nodes = [*ast.walk(tree)]
    names = _names_of_item(tree, nodes)
    for node in nodes:
        key: ast.expr | None = None
        holder: ast.expr | None = None
        if isinstance(node, ast.Subscript):
            holder, key = node.value, node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            holder, key = node.func.value, node.args[0] if node.func.attr in _READERS else None
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            holder, key = node.comparators[0], node.left
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and _is_item(holder, names):
            yield node, key.value  # type: ignore[misc] # these three are expressions


def _is_item(node: ast.expr | None, names: set[str]) -> bool:
    """Whether an expression is the item: its name, or `(item or {})`, `dict(item)`."""
    if isinstance(node, ast.BoolOp):
        return _is_item(node.values[0], names)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return len(node.args) == 1 and _is_item(node.args[0], names)
    return isinstance(node, ast.Name) and node.id in names


def _names_of_item(tree: ast.Module, nodes: Sequence[ast.AST]) -> set[str]:
    """`item`, the second parameter of `grade`, and the names that they are assigned to."""
    names = {"item"}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "grade":
            parameters = [*node.args.posonlyargs, *node.args.args]
            names = {parameters[1].arg} if len(parameters) > 1 else names
    for part in nodes:
        if isinstance(part, ast.Assign) and _is_item(part.value, names):
            names |= {target.id for target in part.targets if isinstance(target, ast.Name)}
    return names
