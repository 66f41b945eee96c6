"""A lock that a process holds while it lives: the system frees it, whatever ends the process."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from graders_engine.files import NO_INHERITANCE
from graders_engine.storage.errors import StoreError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_OFFSET = 1 << 30
"""Where Windows locks a byte: others can neither read nor write a locked one, and no file has this."""
_POLL_S = 0.02


def hold(descriptor: int) -> None:
    """Wait for the lock of an open file, and hold it until that is closed, where there are such locks."""
    if sys.platform == "win32":
        while not hold_at_once(descriptor):
            time.sleep(_POLL_S)
    else:
        with suppress(OSError):  # a file system without them
            fcntl.flock(descriptor, fcntl.LOCK_EX)


def hold_at_once(descriptor: int) -> bool:
    """Hold the lock of an open file until that is closed; False if another process holds it.

    Where there are no such locks, it is True.
    """
    try:
        _lock(descriptor, shared=False)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without them
        return True
    return True


def _lock(descriptor: int, *, shared: bool) -> None:
    """Lock an open file, without waiting.

    Raises:
        BlockingIOError: another process holds it; PermissionError on Windows.
        OSError: the file system has no locks.
    """
    if sys.platform == "win32":  # it has no lock that some share: nothing there asks for one
        before = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _OFFSET, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, before, os.SEEK_SET)
    else:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


class ProcessLock:
    """A lock file. Whether it exists says nothing; whether somebody holds it does.

    Args:
        path: the file; it is made when the lock is taken, and stays.
        shared: whether others that share may hold it at the same time; on Windows, none may.
    """

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self.path, self._shared = path, shared
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds it."""
        return self._descriptor is not None

    def take(self) -> bool:
        """Take it, without waiting; whether it could be taken.

        Raises:
            StoreError: the file cannot be made, or its file system has no locks.
        """
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | NO_INHERITANCE, 0o600)
        except OSError as error:
            raise StoreError(f"The lock {self.path} cannot be opened: {error.strerror}.") from None
        try:
            _lock(descriptor, shared=self._shared)
        except (BlockingIOError, PermissionError):
            os.close(descriptor)
            return False
        except OSError as error:
            os.close(descriptor)
            raise StoreError(f"The lock {self.path} cannot be taken: {error.strerror}.") from None
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let others take it; releasing one that is not held is allowed."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def release_where_it_keeps_files(self) -> None:
        """Release it on Windows alone, where a file that is open cannot be removed, nor its folder."""
        if sys.platform == "win32":
            self.release()
