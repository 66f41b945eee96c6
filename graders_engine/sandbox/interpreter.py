"""The parts of the host that an interpreter needs: its own folders and the system's libraries."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.machinery import PathFinder

from graders_engine.sandbox.base import SandboxUnavailable

_ASK = (
    "import json, sys; "
    "print(json.dumps([sys.executable, sys.prefix, sys.base_prefix, sys.path, sys.version_info[:2]]))"
)
_ASK_TIMEOUT_S = 30
#: programs and libraries of the system; nothing else of /etc, and nothing of /home, /root, /var
_SYSTEM = (
    *("/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/share/zoneinfo"),
    *("/bin", "/lib", "/lib32", "/lib64"),
    *("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime"),
)
#: the parts of a prefix that belong to an interpreter
_PARTS = ("bin", "lib", "lib64", "include", "share", "nltk_data", "pyvenv.cfg")
_OLDEST = (3, 11)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python and the folders that it needs.

    Attributes:
        prefix: its `sys.prefix`.
        module_path: its `sys.path`, only the folders that belong to it.
        readable: the paths of the host that are shown to graded code, none inside another.
    """

    executable: str
    prefix: str
    module_path: tuple[str, ...]
    readable: tuple[str, ...]


@functools.cache
def locate(executable: str | None) -> Interpreter:
    """Find out about an interpreter (None: the engine's own); another one is started once for it.

    Raises:
        SandboxUnavailable: it does not run, or it is too old.
    """
    if executable is None or executable == sys.executable:
        version: tuple[int, ...] = sys.version_info[:2]
        path, prefix, base_prefix, module_path = (
            sys.executable,
            sys.prefix,
            sys.base_prefix,
            sys.path,
        )
    else:
        path, prefix, base_prefix, module_path, version = _ask(executable)
    if tuple(version) < _OLDEST:
        found = ".".join(map(str, version))
        raise SandboxUnavailable(f"{executable} is Python {found}; graders need 3.11 or newer")
    folders = _folders_of(path, prefix, base_prefix)
    modules = [p for p in module_path if (p and _inside(p, folders)) or _is_packages(p)]
    # an environment may link to the packages of another: the links are shown as well
    links = [link for p in modules for link in (p, *_links(p), os.path.realpath(p))]
    visible = [p for p in dict.fromkeys([*folders, *links]) if os.path.lexists(p)]
    readable = tuple(
        p for p in visible if not _inside(p, [other for other in visible if other != p])
    )
    return Interpreter(path, prefix, tuple(modules), readable)


def _folders_of(path: str, prefix: str, base_prefix: str) -> list[str]:
    """The folders of an interpreter and of the system's libraries."""
    home = os.path.dirname(os.path.realpath(path))
    roots = [r for r in dict.fromkeys([prefix, base_prefix]) if r not in ("/", "/usr")]
    parts = [os.path.join(r, p) for r in roots for p in _PARTS]
    return [p for p in (*_SYSTEM, *parts, home, *_links(path)) if os.path.lexists(p)]


def missing(executable: str | None, names: list[str]) -> list[str]:
    """The top-level names of the modules that an interpreter lacks; none of them is run."""
    path = list(locate(executable).module_path)
    tops = dict.fromkeys(n.partition(".")[0] for n in names)
    return [
        top
        for top in tops
        if top not in sys.stdlib_module_names and PathFinder.find_spec(top, path) is None
    ]


def _ask(executable: str) -> tuple[str, str, str, list[str], tuple[int, ...]]:
    try:
        done = subprocess.run(  # noqa: S603 - an interpreter that the user named
            [executable, "-I", "-c", _ASK],
            capture_output=True,
            timeout=_ASK_TIMEOUT_S,
            check=True,
            env={},
        )
        path, prefix, base_prefix, module_path, version = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise SandboxUnavailable(f"the interpreter {executable} does not run: {error}") from None
    return path, prefix, base_prefix, module_path, tuple(version)


def _links(path: str) -> list[str]:
    """The chain of symbolic links from `path` to the file, both included."""
    chain: list[str] = []
    while os.path.islink(path) and len(chain) < 40:
        chain.append(path)
        path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
    return [*chain, path]


def _inside(path: str, folders: list[str]) -> bool:
    return any(path == f or path.startswith(f.rstrip("/") + "/") for f in folders)


def _is_packages(path: str) -> bool:
    return os.path.basename(path) in ("site-packages", "dist-packages")
