"""Prepare a template: import what the source names, warm it up, seal the confinement, compile.

Only installed packages are imported; the source itself is parsed and compiled, never run. Its
imports are found at any depth of its syntax tree.
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

from graders_engine.sandbox.inside import child, reach, warm
from graders_engine.sandbox.inside.confine import Confinement
from graders_engine.sandbox.inside.plan import Task
from graders_engine.sandbox.inside.source_tree import attributes, imports

TYPE_CHECKING = False  # typing itself is not worth its import in a process that is forked
if TYPE_CHECKING:
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
        prepared.reach = reach.reach_of(tree)
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


def _look_up(chain: list[str]) -> None:
    """Look up attributes of modules as the source will; the modules may import more for it."""
    found: Any = sys.modules.get(chain[0])
    with contextlib.suppress(BaseException):  # the grade will get the same and report it
        for name in chain[1:]:
            if not isinstance(found, ModuleType):
                return
            found = getattr(found, name)


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
