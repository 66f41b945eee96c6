"""Prepare a template: import what the source names, warm it up, seal the confinement, compile.

Only installed packages are imported; the source itself is parsed and compiled, never run. Its
imports are found at any depth of its syntax tree. The tree is walked without the `ast` module, whose
import costs more than the walk.
"""

from __future__ import annotations

import contextlib
import importlib
import linecache
import os
import sys
import time
import warnings
from types import ModuleType

from graders_engine.sandbox.inside import child, warm
from graders_engine.sandbox.inside.confine import Confinement
from graders_engine.sandbox.inside.plan import Task

TYPE_CHECKING = False  # typing itself is not worth its import in a process that is forked
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_ENVIRONMENT = {"PATH", "LANG", "HOME", "TMPDIR", "PYTHONUTF8"}  # what a grade finds
_ONLY_AST = 0x400  # ast.PyCF_ONLY_AST
_MAX_PARTS = 50  # of a module's name; importing one with thousands ends the interpreter
_NEVER = {"__main__", "antigravity", "this", "idlelib", "turtledemo", "test"}


def prepare(task: Task, confinement: Confinement) -> tuple[child.Prepared, dict[str, Any]]:
    """Do everything up to the first fork; also the report on it for the engine."""
    prepared = child.Prepared(task.name, task.filename, task.seed)
    started = time.monotonic()
    with confinement.memory_limited():
        tree = _parse(task, prepared)
    if tree is not None:
        names = imports(tree)
        prepared.imported = list(names)
        for name in names:
            _import(name)
        if task.seed is not None:  # what is seeded must be imported
            names += ["random", *(["numpy.random"] if "numpy" in sys.modules else [])]
            for name in names[-2:]:
                _import(name)
        warm.warm(sys.modules)
        for chain in attributes(tree):
            _look_up(chain)
    report = {"import_s": time.monotonic() - started, "threads": confinement.threads()}
    for name in set(os.environ) - _ENVIRONMENT:
        del os.environ[name]  # meant for libraries while they are imported, not for grades
    confinement.seal()
    if tree is not None:
        _compile(task, prepared)
    lines = task.source.splitlines(keepends=True)
    linecache.cache[task.filename] = (len(task.source), None, lines, task.filename)
    sys.modules[task.name] = ModuleType(task.name)  # a placeholder; each grade replaces it
    sys.modules["__main__"] = ModuleType("__main__")
    return prepared, report


def _parse(task: Task, prepared: child.Prepared) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return compile(task.source, task.filename, "exec", _ONLY_AST, dont_inherit=True)
    except Exception as error:  # noqa: BLE001 - whatever the compiler raises is the grade's result
        prepared.fault = error.with_traceback(None)
        return None


def _compile(task: Task, prepared: child.Prepared) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            prepared.code = compile(task.source, task.filename, "exec", dont_inherit=True)
    except Exception as error:  # noqa: BLE001 - whatever the compiler raises is the grade's result
        prepared.fault = error.with_traceback(None)


def _walk(tree: Any) -> Iterator[Any]:
    """The nodes of a syntax tree, in the order of the source."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(reversed(node))
        elif hasattr(node, "_fields"):
            yield node
            pending.extend(getattr(node, f, None) for f in reversed(node._fields))


def imports(tree: Any) -> list[str]:
    """The modules that a syntax tree names, in its order, each once."""
    return list(dict.fromkeys(name for node in _walk(tree) for name in _named_by(node)))


def attributes(tree: Any) -> list[list[str]]:
    """Dotted names that start at an imported module, as `np.testing.assert_allclose`: module, attributes.

    Packages such as numpy and scipy import some submodules when the attribute is first looked up.
    """
    imported: dict[str, str] = {}
    chains = []
    for node in _walk(tree):
        kind = type(node).__name__
        if kind == "Import":
            for alias in node.names:
                root = alias.name.partition(".")[0]
                imported[alias.asname or root] = alias.name if alias.asname else root
        elif kind == "ImportFrom" and not node.level and node.module:
            for alias in node.names:
                imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif kind == "Attribute" and (chain := _chain(node)):
            chains.append(chain)
    return [[imported[first], *rest] for first, *rest in chains if first in imported]


def _chain(node: Any) -> list[str]:
    """The parts of `a.b.c`; empty when it does not start with a name."""
    parts: list[str] = []
    while type(node).__name__ == "Attribute":
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if type(node).__name__ == "Name" else []


def _look_up(chain: list[str]) -> None:
    """Look up attributes of modules as the source will; the modules may import more for it."""
    found: Any = sys.modules.get(chain[0])
    with contextlib.suppress(BaseException):  # the grade will get the same and report it
        for name in chain[1:]:
            if not isinstance(found, ModuleType):
                return
            found = getattr(found, name)


def _named_by(node: Any) -> list[str]:
    kind = type(node).__name__
    if kind == "Import":
        return [alias.name for alias in node.names]
    if kind == "ImportFrom" and not node.level and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    if kind == "Call" and node.args and type(node.args[0]).__name__ == "Constant":
        called = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
        argument = node.args[0].value
        if called in ("__import__", "import_module") and isinstance(argument, str):
            return [argument]
    return []


def _import(name: str) -> None:
    parts = name.split(".")
    if len(parts) > _MAX_PARTS:
        return
    if not all(p.isidentifier() for p in parts) or _NEVER & set(parts):
        return
    parent = sys.modules.get(".".join(parts[:-1]))
    if parent is not None and (hasattr(parent, parts[-1]) or not hasattr(parent, "__path__")):
        return  # `from module import name`, and the name is there, or cannot be a module
    with contextlib.suppress(BaseException):  # the grade will get the same and report it
        importlib.import_module(name)
