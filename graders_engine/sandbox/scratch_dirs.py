"""Scratch folders on the host, for the tiers without a private root.

An engine keeps them in one folder, which it holds locked until it ends. A folder that nobody has locked
was left by an engine that was killed; the next engine takes it into its own and removes it.

A grade may have left a crowd of files: folders are removed in threads, for an event loop must not wait.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from pathlib import Path

from graders_engine.sandbox.inside.scratch import remove

_PREFIX, _RANDOM = "graders-scratch-", 8  # followed by as many characters of `mkdtemp`
_TRIES = 10
_removals: dict[str, threading.Thread] = {}


class ScratchDirs:
    """The scratch folders of one engine."""

    def __init__(self) -> None:
        self._home, self._lock = _locked_folder()
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
        try:
            removal.start()
        except RuntimeError:  # this system refuses another thread
            remove(folder)
            return True
        _removals[folder] = removal
    if removal.is_alive():
        return False
    _removals.pop(folder, None)
    return True


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
        # gone if another engine removed it before it was locked
        with contextlib.suppress(FileNotFoundError):
            lock = _open(home)
            if _take(lock) and os.fstat(lock).st_nlink and os.path.isdir(home):
                return home, lock
            os.close(lock)
    home = tempfile.mkdtemp(prefix=_PREFIX)
    return home, _open(home)  # this file system has no locks: nobody removes it either


def _open(folder: str) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _take_leftovers(home: str) -> list[str]:
    """Move what killed engines have left into the folder `home`; the new paths."""
    taken: list[str] = []
    for folder in Path(tempfile.gettempdir()).glob(_PREFIX + "?" * _RANDOM):
        with contextlib.suppress(OSError):
            if folder.lstat().st_uid != os.geteuid():
                continue
            descriptor = _open(str(folder))
            try:
                if _take(descriptor):
                    place = os.path.join(home, f".left-{len(taken)}")
                    folder.rename(place)
                    taken.append(place)
            finally:
                os.close(descriptor)
    return taken
