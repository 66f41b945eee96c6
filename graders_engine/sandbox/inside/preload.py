"""Make a template ready: import what the source names, warm it, lock the door, compile.

Only installed packages are imported; the source itself is parsed and compiled, never run. Its
imports are found in its syntax tree at any depth, walked without the `ast` module, whose import
costs more than the walk.
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
    from typing import Any

_ENVIRONMENT = {"PATH", "LANG", "HOME", "TMPDIR", "PYTHONUTF8"}  # what a grade finds
_ONLY_AST = 0x400  # ast.PyCF_ONLY_AST
_NEVER = {"__main__", "antigravity", "this", "idlelib", "turtledemo", "test"}


def prepare(task: Task, walls: Confinement) -> tuple[child.Prepared, dict[str, Any]]:
    """Everything up to the first fork; also what the engine should know about it."""
    prepared = child.Prepared(task.name, task.filename, task.seed)
    started = time.monotonic()
    tree = _parse(task, prepared)
    if tree is not None:
        names = imports(tree)
        for name in names:
            _import(name)
        if task.seed is not None:  # what is to be seeded must be here
            names += ["random", *(["numpy.random"] if "numpy" in sys.modules else [])]
            for name in names[-2:]:
                _import(name)
        warm.warm(sys.modules)
        _import_late(task.learned, names)
    notes = {
        "ready": True,
        "import_s": time.monotonic() - started,
        "threads": walls.threads(),
    }
    for name in set(os.environ) - _ENVIRONMENT:
        del os.environ[name]  # told to libraries as they were imported, and to nobody else
    walls.seal()
    if tree is not None:
        _compile(task, prepared)
    lines = task.source.splitlines(keepends=True)
    linecache.cache[task.filename] = (len(task.source), None, lines, task.filename)
    sys.modules[task.name] = ModuleType(task.name)  # its place; each grade puts its own there
    sys.modules["__main__"] = ModuleType("__main__")
    prepared.known_modules = len(sys.modules)
    return prepared, notes


def _parse(task: Task, prepared: child.Prepared) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return compile(task.source, task.filename, "exec", _ONLY_AST, dont_inherit=True)
    except Exception as error:  # noqa: BLE001 - whatever the compiler says is the source's verdict
        prepared.fault = error.with_traceback(None)
        return None


def _compile(task: Task, prepared: child.Prepared) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            prepared.code = compile(task.source, task.filename, "exec", dont_inherit=True)
    except Exception as error:  # noqa: BLE001 - whatever the compiler says is the source's verdict
        prepared.fault = error.with_traceback(None)


def imports(tree: Any) -> list[str]:
    """The modules a syntax tree names, in its order, each once."""
    found: dict[str, None] = {}
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(reversed(node))
            continue
        if not hasattr(node, "_fields"):
            continue
        found.update(dict.fromkeys(_named_by(node)))
        pending.extend(getattr(node, f, None) for f in reversed(node._fields))
    return list(found)


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
    if not all(p.isidentifier() for p in parts) or _NEVER & set(parts):
        return
    parent = sys.modules.get(".".join(parts[:-1]))
    if parent is not None and (hasattr(parent, parts[-1]) or not hasattr(parent, "__path__")):
        return  # `from module import name`, and the name is there, or cannot be a module
    with contextlib.suppress(BaseException):  # the grade will meet the same and report it
        importlib.import_module(name)


def _import_late(learned: list[str], named: list[str]) -> None:
    """Modules that grades imported late: only below packages that are here or that are named.

    The names come from graded code, so they may choose among the submodules of installed packages
    which the source itself brought in, and nothing else.
    """
    roots = {n.partition(".")[0] for n in [*sys.modules, *named]}
    for name in learned:
        if name not in sys.modules and name.partition(".")[0] in roots:
            _import(name)
