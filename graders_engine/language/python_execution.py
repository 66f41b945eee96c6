"""Where a python source executes text or data as code, seen in its syntax tree.

A caution, not a wall: it finds what people write, not what is hidden. Where the rows of a grader share a
process, what one row's model output executes can change the rewards of the rows that follow.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

_BUILTINS = frozenset({"exec", "eval", "compile"})
_MODULES = frozenset(
    {"runpy", "marshal", "ctypes", "cffi", "dill", "cloudpickle", "code", "codeop"}
)
"""Modules that are there to run code or to reach memory; `code` and `codeop` are consoles."""
_FUNCTIONS = {
    "pickle": frozenset({"load", "loads", "Unpickler"}),
    "_pickle": frozenset({"load", "loads", "Unpickler"}),
    "shelve": frozenset({"open"}),
    "joblib": frozenset({"load"}),
    "pandas": frozenset({"read_pickle"}),
    "torch": frozenset({"load"}),
    "yaml": frozenset({"unsafe_load", "unsafe_load_all", "full_load"}),
    "sympy": frozenset({"sympify", "S", "parse_expr"}),
    "sympy.parsing.sympy_parser": frozenset({"parse_expr"}),
    "importlib.util": frozenset({"spec_from_file_location", "module_from_spec"}),
    "builtins": _BUILTINS,
}
"""By module, the functions that execute what they are given; sympy's evaluate text as Python."""
_COMPUTED = frozenset({"import_module", "__import__"})
_LOADERS = frozenset({"exec_module", "load_module"})

Found = tuple[str, int]
"""What stands there, and its line."""


def executions(tree: ast.Module) -> list[Found]:
    """Where a source names something that executes code, each name once, in the order of the source."""
    modules = _imported(tree)
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        for name, line in _of_node(node, modules):
            found[name] = min(line, found.get(name, line))
    return sorted(found.items(), key=lambda each: (each[1], each[0]))


def _imported(tree: ast.Module) -> dict[str, str]:
    """The modules that names stand for: `import numpy as np` gives np."""
    names: dict[str, str] = {"__builtins__": "builtins"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                names[alias.asname or root] = alias.name if alias.asname else root
    return names


def _of_node(node: ast.AST, modules: dict[str, str]) -> Iterator[Found]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.partition(".")[0] in _MODULES:
                yield f"import {alias.name}", node.lineno
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield from _of_import(node, node.module)
    elif isinstance(node, ast.Name) and node.id in _BUILTINS and isinstance(node.ctx, ast.Load):
        yield node.id, node.lineno
    elif isinstance(node, ast.Attribute):
        yield from _of_attribute(node, modules)
    elif isinstance(node, ast.Call):
        yield from _of_call(node)


def _of_import(node: ast.ImportFrom, module: str) -> Iterator[Found]:
    if module.partition(".")[0] in _MODULES:
        yield f"from {module} import", node.lineno
    for alias in node.names:
        if alias.name in _FUNCTIONS.get(module, ()) or f"{module}.{alias.name}" in _MODULES:
            yield f"{module}.{alias.name}", node.lineno


def _of_attribute(node: ast.Attribute, modules: dict[str, str]) -> Iterator[Found]:
    if node.attr in _LOADERS:
        yield node.attr, node.lineno
        return
    holder = _dotted(node.value)
    root, _, rest = holder.partition(".")
    module = ".".join(filter(None, (modules.get(root, ""), rest))) if root in modules else ""
    if node.attr in _FUNCTIONS.get(module, ()):
        yield f"{module}.{node.attr}", node.lineno


def _of_call(node: ast.Call) -> Iterator[Found]:
    called = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
    if called not in _COMPUTED:
        return
    name = node.args[0] if node.args else None
    if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
        yield f"{called} with a computed name", node.lineno
    elif name.value.partition(".")[0] in _MODULES | {"builtins"}:
        yield f'{called}("{name.value}")', node.lineno


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""
