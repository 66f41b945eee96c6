"""Scratch folders on the host, for the tiers without a private root.

An engine keeps them in one folder and holds a lock in it until it ends. A folder whose lock is free
was left by an engine that was killed; the next engine takes it into its own and removes it.

A grade may have left a crowd of files: folders are removed in threads, for an event loop must not wait.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from pathlib import Path

from graders_engine.sandbox.inside.scratch import TooMuchToClear, empty

_PREFIX, _LOCK = "graders-", ".lock"
_removals: dict[str, threading.Thread] = {}


class ScratchDirs:
    """The scratch folders of one engine."""

    def __init__(self) -> None:
        self._home = tempfile.mkdtemp(prefix=_PREFIX)
        unnamed = os.path.join(self._home, ".new")
        self._lock = os.open(unnamed, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        _take(self._lock)
        os.rename(unnamed, os.path.join(self._home, _LOCK))  # others find it only when it is locked
        for left in _take_leftovers(self._home):
            discard(left)

    def new(self) -> str:
        """Make one more folder."""
        return tempfile.mkdtemp(dir=self._home)

    def close(self) -> None:
        """Remove them all; takes as long as that takes, so it is not for an event loop."""
        for folder in [f for f in _removals if os.path.dirname(f) == self._home]:
            _removals.pop(folder).join()
        remove(self._home)
        os.close(self._lock)


def discard(folder: str) -> bool:
    """Have a folder removed by a thread; True when it is gone. To be called until then."""
    removal = _removals.get(folder)
    if removal is None:
        removal = threading.Thread(
            target=remove, args=(folder,), name="sandbox-remover", daemon=True
        )
        _removals[folder] = removal
        removal.start()
    if removal.is_alive():
        return False
    _removals.pop(folder, None)
    return True


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


def _take_leftovers(home: str) -> list[str]:
    """Move what killed engines have left into the folder `home`; the new paths."""
    taken: list[str] = []
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError):
            if lock.lstat().st_uid != os.geteuid():
                continue
            descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if _take(descriptor):
                    place = os.path.join(home, f".left-{len(taken)}")
                    os.rename(lock.parent, place)
                    taken.append(place)
            finally:
                os.close(descriptor)
    return taken
