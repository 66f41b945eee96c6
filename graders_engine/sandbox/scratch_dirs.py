"""Scratch folders on the host, for the tiers without a private root.

An engine keeps them in one folder, which it holds locked until it ends. A folder that nobody has locked
was left by an engine that was killed; the next engine with such folders removes it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from graders_engine.sandbox.inside.scratch import TooMuchToClear, empty

_PREFIX, _RANDOM = "graders-scratch-", 8  # followed by as many characters of `mkdtemp`
_TRIES = 10


class ScratchDirs:
    """The scratch folders of one engine."""

    def __init__(self) -> None:
        _clear_leftovers()
        self._home, self._lock = _locked_folder()

    def new(self) -> str:
        """Make one more folder."""
        return tempfile.mkdtemp(dir=self._home)

    def close(self) -> None:
        """Remove them all."""
        remove(self._home)
        os.close(self._lock)


def remove(folder: str) -> None:
    """Remove a folder, whatever graded code has left in it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            while True:
                try:
                    empty(descriptor)
                    break
                except TooMuchToClear:
                    continue
        finally:
            os.close(descriptor)
        os.rmdir(folder)


def _take(descriptor: int) -> bool:
    import fcntl  # Windows, where this file is imported but never used, has none

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _locked_folder() -> tuple[str, int]:
    """A new folder and the descriptor that holds it locked."""
    for _ in range(_TRIES):
        home = tempfile.mkdtemp(prefix=_PREFIX)
        with contextlib.suppress(
            FileNotFoundError
        ):  # before it was locked, another engine removed it
            lock = _open(home)
            if _take(lock) and os.fstat(lock).st_nlink:
                return home, lock
            os.close(lock)
    home = tempfile.mkdtemp(
        prefix=_PREFIX
    )  # this file system has no locks: nobody removes it either
    return home, _open(home)


def _open(folder: str) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _clear_leftovers() -> None:
    for folder in Path(tempfile.gettempdir()).glob(_PREFIX + "?" * _RANDOM):
        with contextlib.suppress(OSError):
            if folder.lstat().st_uid != os.geteuid():
                continue
            descriptor = _open(str(folder))
            try:
                if _take(descriptor):
                    remove(str(folder))
            finally:
                os.close(descriptor)
