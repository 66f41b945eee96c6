"""Has this package, in a test's process and in every Python that it starts, meet another system.

For the package's own modules alone, names that the other system lacks are absent from the standard
library, `sys.platform` is the other system's, and so are some ways of its files. The standard library
itself and other packages stay Linux's: they are known to work elsewhere.
"""

from __future__ import annotations

import builtins
import errno
import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

ELSEWHERE = "GRADERS_TESTS_ELSEWHERE"
"""A file of {"platform", "python", "absent", "lacking"}: what `There` writes."""
_PACKAGE = "graders_engine"
_NOT_IN_NAMES = set('<>:"|?*')
_SHARING_VIOLATION = (
    "The process cannot access the file because it is being used by another process"
)


class View(ModuleType):
    """A module without some of its names."""

    def __init__(self, real: ModuleType, lacks: Sequence[str], **more: object) -> None:
        super().__init__(real.__name__, real.__doc__)
        vars(self).update(real_one=real, lacking=frozenset(lacks), **more)

    def __getattr__(self, name: str) -> Any:
        if name in self.lacking:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} there")
        return getattr(self.real_one, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.real_one, name, value)


def of_the_package(scope: Mapping[str, Any] | None) -> bool:
    """Whether who imports is one of this package's files, run as a program or not."""
    return f"/{_PACKAGE}/" in str((scope or {}).get("__file__"))


def meet(platform: str, absent: Sequence[str], lacking: Mapping[str, Sequence[str]]) -> None:
    """From now on, the package imports what there is on that platform."""
    real_import = builtins.__import__
    views: dict[str, View] = {"sys": View(sys, (), platform=platform)}
    if platform == "win32":
        views["msvcrt"] = View(sys, (), locking=locking, LK_NBLCK=2, LK_UNLCK=0)
        views["subprocess"] = View(subprocess, (), CREATE_NEW_PROCESS_GROUP=0)
        views["os"] = View(os, lacking["os"], kill=kill, O_BINARY=0)

    def import_there(
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - as the function that it replaces
        locals: Mapping[str, Any] | None = None,  # noqa: A002 - as above
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level or not of_the_package(globals):
            return real_import(name, globals, locals, fromlist or (), level)
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r} there", name=name)
        if name in views:
            return views[name]
        found = real_import(name, globals, locals, fromlist or (), level)
        first = found.__name__
        if first not in lacking:
            return found
        return views.setdefault(first, View(found, lacking[first]))

    builtins.__import__ = import_there


def locking(descriptor: int, mode: int, count: int) -> None:
    """`msvcrt.locking`: the bytes from the position on, for this open file alone."""
    import fcntl

    # Windows' locks belong to the open file, as these do; those of `fcntl.lockf` do to the process.
    assert mode in (0, 2)
    assert os.lseek(descriptor, 0, os.SEEK_CUR) >= os.fstat(descriptor).st_size, "others read this"
    if not mode:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PermissionError(errno.EACCES, "Permission denied") from None


def kill(process: int, number: int) -> None:
    """Windows' `os.kill`: a 0 is Ctrl-C there, and everything else ends a process at once."""
    if not number:
        raise AssertionError(f"this sends Ctrl-C to the process {process}")
    os.kill(process, signal.SIGKILL)


def keep_open_files() -> None:
    """No file that this process has open can be replaced, renamed or removed, as on Windows."""

    def kept(path: Any, folder: int | None) -> None:
        try:
            wanted = os.stat(path, dir_fd=folder, follow_symlinks=False)
        except (OSError, TypeError):
            return
        for descriptor in os.listdir("/proc/self/fd"):
            try:
                found = os.fstat(int(descriptor))
            except OSError:
                continue
            if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                raise PermissionError(errno.EACCES, _SHARING_VIOLATION, os.fspath(path))

    def guarded(real: Any) -> Any:
        def act(*paths: Any, **more: Any) -> Any:
            for path in paths:
                kept(path, more.get("dir_fd"))
            return real(*paths, **more)

        return act

    for name in ("unlink", "remove", "rename", "replace"):
        setattr(os, name, guarded(getattr(os, name)))


def refuse_names(event: str, details: tuple[Any, ...]) -> None:
    """Refuse to make files of names that Windows does not allow."""
    made = event in ("os.mkdir", "os.rename") or (
        event == "open" and isinstance(details[2], int) and details[2] & os.O_CREAT
    )
    if made and isinstance(details[0], str | os.PathLike):
        name = os.path.basename(os.fspath(details[0]))
        if isinstance(name, str) and (_NOT_IN_NAMES & set(name) or name.endswith((" ", "."))):
            raise OSError(errno.EINVAL, "Invalid argument", os.fspath(details[0]))


def without_signals_in_loops() -> None:
    """Event loops are as Windows' default one: no signal handlers, and no descriptors to watch."""
    import asyncio

    def missing(self: object, *arguments: object) -> None:
        raise NotImplementedError

    asyncio.SelectorEventLoop.add_signal_handler = missing  # type: ignore[assignment,method-assign]
    asyncio.SelectorEventLoop.remove_signal_handler = missing  # type: ignore[assignment,method-assign]

    class Proactor(asyncio.SelectorEventLoop):
        add_reader = add_writer = missing  # type: ignore[assignment]

    class Policy(asyncio.DefaultEventLoopPolicy):
        _loop_factory = Proactor

    asyncio.set_event_loop_policy(Policy())


runpy.run_path(str(Path(__file__).parents[2] / "offline" / "sitecustomize.py"))
if os.environ.get(ELSEWHERE):
    _there = json.loads(Path(os.environ[ELSEWHERE]).read_text(encoding="utf-8"))
    if _there["platform"] == "win32":
        keep_open_files()
        without_signals_in_loops()
        sys.addaudithook(refuse_names)
    # Python starts Pythons by this name, and not with all of the environment.
    sys.executable = _there["python"]
    meet(_there["platform"], _there["absent"], _there["lacking"])
