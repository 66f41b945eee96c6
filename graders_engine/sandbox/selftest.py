"""A grader that tries to break out: the source of the self-test in `probe`, run in the sandbox.

Each check returns 1.0 when the sandbox prevented the attempt. It runs like any other source: it can
import the standard library and nothing of the engine.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

_CLONE_NEWUSER = 0x10000000
_KNOWN_VARIABLES = {"PATH", "LANG", "HOME", "TMPDIR", "PYTHONUTF8", "LC_CTYPE"}


def _refused(act: Callable[..., object], *args: object) -> bool:
    try:
        act(*args)
    except OSError:
        return True
    return False


def _files(item: dict[str, Any]) -> bool:
    places = [item["secret"], "/etc/shadow", "/proc/1/environ"]
    return all(_refused(os.open, p, os.O_RDONLY) for p in places)


def _writing(_: dict[str, Any]) -> bool:
    places = [os.__file__, os.path.dirname(os.__file__) + "/planted", "/planted"]
    return all(_refused(os.open, p, os.O_WRONLY | os.O_CREAT) for p in places)


def _network(item: dict[str, Any]) -> bool:
    return _refused(socket.create_connection, ("127.0.0.1", item["port"]), 1)


def _processes(item: dict[str, Any]) -> bool:
    return _refused(os.kill, item["pid"], 0)


def _privileges(_: dict[str, Any]) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    namespace: int = libc.unshare(_CLONE_NEWUSER)
    mount: int = libc.mount(b"x", b"/", b"tmpfs", 0, None)
    return namespace != 0 and mount != 0


def _environment(_: dict[str, Any]) -> bool:
    return set(os.environ) <= _KNOWN_VARIABLES


def _descriptors(_: dict[str, Any]) -> bool:
    return sum(not _refused(os.fstat, f) for f in range(3, 256)) <= 1


def _host_name(_: dict[str, Any]) -> bool:
    return socket.gethostname() == "grader"  # `namespaces` gives this one where it may


def _forgery(_: dict[str, Any]) -> bool:
    frame = struct.pack("<16sd??", bytes(16), 1.0, False, False)
    for descriptor in range(3, 16):
        _refused(os.write, descriptor, frame)
    return False  # it must end in another way, or with this zero


def _time(_: dict[str, Any]) -> bool:
    time.sleep(3600)
    return False


def _memory(_: dict[str, Any]) -> bool:
    hoard = [bytearray(1 << 20) for _ in range(1 << 20)]
    return not hoard


CHECKS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "files": _files,
    "writing": _writing,
    "network": _network,
    "processes": _processes,
    "privileges": _privileges,
    "environment": _environment,
    "descriptors": _descriptors,
    "host name": _host_name,
    "forgery": _forgery,
    "time": _time,
    "memory": _memory,
}


def grade(sample: dict[str, Any], item: dict[str, Any]) -> float:
    """1.0 when the sandbox passes the check that the sample names."""
    return float(CHECKS[sample["output_text"]](item))
