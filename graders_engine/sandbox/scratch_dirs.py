"""Scratch folders on the host, for the tiers without a private root.

An engine keeps them in one folder and holds a lock in it until it ends. A folder whose lock is free
was left by an engine that was killed; the next engine removes it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from graders_engine.sandbox.inside.scratch import TooMuchToClear, empty

_PREFIX, _LOCK = "graders-", ".lock"


class ScratchDirs:
    """The scratch folders of one engine."""

    def __init__(self) -> None:
        _clear_leftovers()
        self._home = tempfile.mkdtemp(prefix=_PREFIX)
        unnamed = os.path.join(self._home, ".new")
        self._lock = os.open(unnamed, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        _take(self._lock)
        os.rename(unnamed, os.path.join(self._home, _LOCK))  # others find it only when it is locked

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


def _clear_leftovers() -> None:
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError):
            if lock.lstat().st_uid != os.geteuid():
                continue
            descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if _take(descriptor):
                    remove(str(lock.parent))
            finally:
                os.close(descriptor)
