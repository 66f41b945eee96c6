"""The confined program needs the standard library and itself alone.

It is run as a file by the interpreter of an image, which may have none of our requirements. Its
modules may import only the standard library and each other. The one exception is `warm.py`: inside
a function it may import the package that the function warms, since a function of its table is
called only after the graded source has imported that package.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import graders_engine
from graders_engine.sandbox.inside import warm

INSIDE = Path(graders_engine.__file__).parent / "sandbox" / "inside"
PACKAGE = "graders_engine.sandbox.inside"
FILES = sorted(INSIDE.glob("*.py"))


def imports_of(path: Path) -> Iterator[tuple[str, bool]]:
    """Each module that a file imports, and whether it does so inside a function."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    inner = {n for f in ast.walk(tree) if isinstance(f, functions) for n in ast.walk(f)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in inner) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "run as a file, it has no package to be relative to"
            yield node.module or "", node in inner


def is_allowed(module: str, *, in_function: bool, file: str) -> bool:
    root = module.partition(".")[0]
    if root in sys.stdlib_module_names or module == PACKAGE or module.startswith(PACKAGE + "."):
        return True
    return file == "warm.py" and in_function and root in warm.TABLE


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_imports_the_standard_library_and_itself(path: Path) -> None:
    wrong = [
        module
        for module, in_function in imports_of(path)
        if not is_allowed(module, in_function=in_function, file=path.name)
    ]
    assert wrong == []


def test_all_of_it_is_looked_at() -> None:
    assert {path.name for path in FILES} >= {"worker.py", "template.py", "child.py", "warm.py"}
    assert sorted(INSIDE.rglob("*.py")) == FILES


def test_a_bare_interpreter_can_import_all_of_it() -> None:
    """No site-packages, no environment, and no package above it, as a worker starts."""
    names = [path.stem for path in FILES if path.stem not in ("__init__", "worker")]
    code = (
        "import importlib, json, sys, types\n"
        f"for name, folder in {[(p, str(f)) for p, f in packages()]!r}:\n"
        "    sys.modules[name] = package = types.ModuleType(name)\n"
        "    package.__path__ = [folder]\n"
        f"for name in {names!r}:\n"
        f"    importlib.import_module('{PACKAGE}.' + name)\n"
        "known = sys.stdlib_module_names\n"
        "print(json.dumps([n for n in sys.modules if n.partition('.')[0] not in known]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={},
    )
    assert done.returncode == 0, done.stderr
    allowed = {name for name, _ in packages()}
    allowed |= {f"{PACKAGE}.{name}" for name in names} | {"__main__"}
    assert set(json.loads(done.stdout)) <= allowed


def packages() -> list[tuple[str, Path]]:
    return [
        ("graders_engine", INSIDE.parent.parent),
        ("graders_engine.sandbox", INSIDE.parent),
        (PACKAGE, INSIDE),
    ]
