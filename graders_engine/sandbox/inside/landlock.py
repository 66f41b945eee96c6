"""Landlock: which files a process and its children may touch, set by the process itself.

Covers opening, creating, removing and renaming files; from version 3 truncation, from 4 TCP, from
6 signals and abstract sockets outside the domain. Does not cover: `stat` (existence and size of any
file can be seen), `chmod`, `chown` and times (the system call filter refuses those), and descriptors
that were open before.
"""

from __future__ import annotations

import ctypes
import os

from graders_engine.sandbox.inside import libc

TYPE_CHECKING = False  # typing itself is not worth its import in a process that is forked
if TYPE_CHECKING:
    from collections.abc import Iterable

_EXECUTE, _WRITE, _READ, _LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FILES = (
    _EXECUTE | _WRITE | _READ | _TRUNCATE
)  # the rights that apply to a file that is not a directory
_NET_BIND, _NET_CONNECT = 1, 2
_SCOPE_ABSTRACT, _SCOPE_SIGNAL = 1, 2
_PATH_BENEATH = 1
_VERSION = 1  # flag: ask for the version instead of a ruleset
_NEWEST = 6  # the newest version whose rights this file knows


def version() -> int:
    """The kernel's Landlock version; 0 without Landlock, or when it is disabled."""
    try:
        return libc.syscall("landlock_create_ruleset", 0, 0, _VERSION)
    except OSError:
        return 0


def missing_because() -> int:
    """The error number of a kernel without Landlock, or of what forbids it; 0 when it is there."""
    try:
        libc.syscall("landlock_create_ruleset", 0, 0, _VERSION)
    except OSError as error:
        return error.errno or 0
    return 0


class _Ruleset(ctypes.Structure):
    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def restrict(readable: Iterable[str], writable: Iterable[str], devices: Iterable[str]) -> None:
    """Allow access to these trees only, from now on; no_new_privs must be set. Skips missing paths."""
    abi = min(version(), _NEWEST)
    if abi == 0:
        raise OSError(38, "Landlock is not available")
    handled = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)) - 1
    rules = _Ruleset(
        handled,
        _NET_BIND | _NET_CONNECT if abi >= 4 else 0,
        _SCOPE_ABSTRACT | _SCOPE_SIGNAL if abi >= 6 else 0,
    )
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = libc.syscall("landlock_create_ruleset", ctypes.byref(rules), size, 0)
    try:
        for path in readable:
            _allow(ruleset, path, handled & (_EXECUTE | _READ | _LIST))
        for path in writable:
            _allow(ruleset, path, handled & ~(_MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV))
        for path in devices:
            _allow(ruleset, path, handled & (_READ | _WRITE | _TRUNCATE))
        libc.syscall("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            rights &= _FILES
        rule = _PathBeneath(rights, parent)
        libc.syscall("landlock_add_rule", ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(parent)
