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
    "jsonpickle": frozenset({"decode", "loads"}),
    "pandas": frozenset({"read_pickle", "eval"}),
    "numexpr": frozenset({"evaluate"}),
    "timeit": frozenset({"timeit", "repeat", "Timer"}),
    "profile": frozenset({"run", "runctx"}),
    "cProfile": frozenset({"run", "runctx"}),
    "doctest": frozenset({"testfile", "testmod", "run_docstring_examples"}),
    "pytest": frozenset({"main"}),
    "torch": frozenset({"load"}),
    "yaml": frozenset({"unsafe_load", "unsafe_load_all", "full_load"}),
    "sympy": frozenset({"sympify", "S", "parse_expr"}),
    "sys": frozenset({"path", "path_hooks", "meta_path"}),
    "importlib.util": frozenset({"spec_from_file_location", "module_from_spec"}),
    "builtins": _BUILTINS,
}
"""By module, what executes what it is given; sympy's functions evaluate text as Python, and with another
import path a file that a row wrote can be imported. Those of a package are found in its submodules, too."""
_COMPUTED = frozenset({"import_module", "__import__"})
_SAFE_YAML = ("Safe", "CSafe", "Base", "CBase")
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
    """The modules, and what is imported from them, that names stand for: `import numpy as np` gives np."""
    names: dict[str, str] = {"__builtins__": "builtins"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                names[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                starred = _functions_of(node.module) if alias.name == "*" else ()
                names.update({name: f"{node.module}.{name}" for name in starred})
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _functions_of(module: str) -> frozenset[str]:
    """What executes something in a module; also in its package."""
    root = module.partition(".")[0]
    return _FUNCTIONS.get(module, frozenset()) | _FUNCTIONS.get(root, frozenset())


def _full_name(node: ast.expr, modules: dict[str, str]) -> str:
    """The name with its module, as `yaml.load`; empty for what was not imported."""
    root, dot, rest = _dotted(node).partition(".")
    return f"{modules[root]}{dot}{rest}" if root in modules else ""


def _of_node(node: ast.AST, modules: dict[str, str]) -> Iterator[Found]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.partition(".")[0] in _MODULES:
                yield f"import {alias.name}", node.lineno
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield from _of_import(node, node.module)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield from _of_name(node, modules)
    elif isinstance(node, ast.Attribute):
        yield from _of_attribute(node, modules)
    elif isinstance(node, ast.Call):
        yield from _of_call(node, modules)
    elif isinstance(node, ast.Subscript) and _dotted(node.value) == "__builtins__":
        yield "__builtins__[…]", node.lineno


def _of_name(node: ast.Name, modules: dict[str, str]) -> Iterator[Found]:
    module, _, name = modules.get(node.id, "").rpartition(".")
    if (
        name in _functions_of(module) and name == node.id
    ):  # another name was found where it is imported
        yield f"{module}.{name}", node.lineno
    elif node.id in _BUILTINS:
        yield node.id, node.lineno


def _of_import(node: ast.ImportFrom, module: str) -> Iterator[Found]:
    if module.partition(".")[0] in _MODULES:
        yield f"from {module} import", node.lineno
    for alias in node.names:
        if alias.name in _functions_of(module) or f"{module}.{alias.name}" in _MODULES:
            yield f"{module}.{alias.name}", node.lineno


def _of_attribute(node: ast.Attribute, modules: dict[str, str]) -> Iterator[Found]:
    if node.attr in _LOADERS:
        yield node.attr, node.lineno
        return
    module = _full_name(node.value, modules)
    if node.attr in _functions_of(module):
        yield f"{module}.{node.attr}", node.lineno


def _of_call(node: ast.Call, modules: dict[str, str]) -> Iterator[Found]:
    full = _full_name(node.func, modules)
    if full == "yaml.load" and not _is_safe_yaml(node):
        yield full, node.lineno
    called = (
        full.rpartition(".")[2] or getattr(node.func, "id", "") or getattr(node.func, "attr", "")
    )
    if called not in _COMPUTED:
        return
    name = node.args[0] if node.args else None
    if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
        yield f"{called} with a computed name", node.lineno
    elif name.value.partition(".")[0] in _MODULES | {"builtins"}:
        yield f'{called}("{name.value}")', node.lineno


def _is_safe_yaml(node: ast.Call) -> bool:
    """Whether a loader is named that makes plain values only."""
    given = [word.value for word in node.keywords if word.arg == "Loader"] or node.args[1:2]
    return all(_dotted(one).rpartition(".")[2].startswith(_SAFE_YAML) for one in given)


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""
