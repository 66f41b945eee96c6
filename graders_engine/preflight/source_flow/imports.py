"""The modules that a source imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graders_engine.preflight.source_flow.facts import Import

_MISSING = ("ImportError", "ModuleNotFoundError", "Exception", "BaseException")
_IMPORTERS = ("__import__", "import_module")
_PACKAGES_OF_PARTS = ("urllib", "http", "xml", "os", "concurrent", "importlib")
"""Packages of the standard library from which parts are imported by name."""


def imports_in(tree: ast.AST) -> Iterator[Import]:
    """Each import of a source, wherever it stands."""
    stack: list[tuple[ast.AST, bool]] = [(tree, False)]
    while stack:
        node, optional = stack.pop()
        for module in _modules(node):
            yield Import(module, getattr(node, "lineno", 1), optional)
        inside = optional or _goes_on(node)
        last = getattr(node, "orelse", []) if isinstance(node, (ast.Try, ast.If)) else []
        stack += [
            (child, optional if child in last else inside) for child in ast.iter_child_nodes(node)
        ]


def _goes_on(node: ast.AST) -> bool:
    """Whether a statement lets the source go on without what is imported inside."""
    if isinstance(node, ast.If):
        name = getattr(node.test, "id", getattr(node.test, "attr", ""))
        return name == "TYPE_CHECKING"
    if isinstance(node, ast.Try):
        return any(handler.type is None or _catches_it(handler.type) for handler in node.handlers)
    return False


def _catches_it(node: ast.expr) -> bool:
    return any(isinstance(name, ast.Name) and name.id in _MISSING for name in ast.walk(node))


def _modules(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.level:
        yield "." * node.level + (node.module or "")
    elif isinstance(node, ast.ImportFrom) and node.module:
        if node.module in _PACKAGES_OF_PARTS:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield node.module
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name in _IMPORTERS and isinstance(node.args[0].value, str):
            yield node.args[0].value
