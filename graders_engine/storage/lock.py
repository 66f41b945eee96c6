"""A lock that a process holds while it lives: the system frees it, whatever ends the process."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from graders_engine.storage.errors import StoreError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment] # a module elsewhere


def hold(descriptor: int) -> None:
    """Wait for the lock of an open file, and hold it until that is closed, where there are such locks."""
    if fcntl is not None:
        with suppress(OSError):  # a file system without them
            fcntl.flock(descriptor, fcntl.LOCK_EX)


def hold_at_once(descriptor: int) -> bool:
    """Hold the lock of an open file until that is closed; False if another process holds it.

    Where there are no such locks, it is True.
    """
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without them
            return True
    return True


class ProcessLock:
    """A lock file. Whether it exists says nothing; whether somebody holds it does.

    Args:
        path: the file; it is made when the lock is taken, and stays.
        shared: whether others that share may hold it at the same time.
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
            StoreError: the file cannot be made, or this system has no such locks.
        """
        if fcntl is None:
            raise StoreError("This system has no file locks (fcntl), which a store needs.")
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"The lock {self.path} cannot be opened: {error.strerror}.") from None
        try:
            kind = fcntl.LOCK_SH if self._shared else fcntl.LOCK_EX
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
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
