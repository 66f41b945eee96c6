"""What the standard library lacks on another system, as the type checker's stubs tell it."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

import mypy

from graders_engine.language.syntax_tree import module_tree

STUBS = Path(mypy.__file__).parent / "typeshed" / "stdlib"
MODULES = ("mmap", "os", "select", "signal", "socket", "stat", "threading", "time")
"""Those of which a part is lacking somewhere."""
POSIX = ("fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty")
"""Those that Windows lacks as a whole."""
WINDOWS = ("msvcrt", "winreg", "_winapi")
"""Those that only Windows has."""
Version = tuple[int, ...]


def lacking(module: str, platform: str, version: Version) -> list[str]:
    """The names that a module has on Linux and not on this platform."""
    return sorted(names(module, "linux", version) - names(module, platform, version))


def names(module: str, platform: str, version: Version) -> set[str]:
    """The public names of a module, on a platform, in a version of Python."""
    path = STUBS / f"{module}.pyi"
    if not path.exists():
        path = STUBS / module / "__init__.pyi"
    found: set[str] = set()
    for node in _taken(module_tree(path.read_text(encoding="utf-8")).body, platform, version):
        found |= set(_bound(node, platform, version))
    return {name for name in found if name != "sys" and not name.startswith("_")}


def _bound(node: ast.stmt, platform: str, version: Version) -> Iterable[str]:
    """The names that a statement binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
        return names((node.module or "").rpartition(".")[2], platform, version)
    if isinstance(node, ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    return []


def _taken(body: list[ast.stmt], platform: str, version: Version) -> Iterable[ast.stmt]:
    """The statements that count there: tests of the platform and of the version are made."""
    for node in body:
        if isinstance(node, ast.If):
            is_true = _truth(node.test, platform, version)
            yield from _taken(node.body if is_true else node.orelse, platform, version)
        else:
            yield node


def _truth(test: ast.expr, platform: str, version: Version) -> bool:
    shown = ast.unparse(test)
    assert "sys." in shown, shown

    class System:
        pass

    System.platform, System.version_info = platform, version  # type: ignore[attr-defined] # as in `sys`
    return bool(eval(shown, {"sys": System}))  # noqa: S307 - a test in the checker's own stubs
