"""Scratch folders that are empty again after each grade.

The grade may have left anything: a million files, folders nested deeper than a path can name,
folders without permissions. Nothing here recurses or builds a path.
"""

from __future__ import annotations

import _socket
import contextlib
import itertools
import os
import stat
import struct
import time

_BLOCK = 512  # what st_blocks counts
_FREED = struct.Struct("<Q")
_TRIES, _PAUSE_S = 20, 0.1
_MAX_ENTRIES = 20_000  # beyond this a new worker is cheaper than clearing


class TooMuchToClear(Exception):
    """Raised when a grade has left more than is worth clearing; the worker should be replaced."""


class ScratchSpace:
    """The folders that a grade may write to."""

    def __init__(self, places: dict[str, set[str]]) -> None:
        self._folders = [os.open(p, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) for p in places]
        self._kept = list(places.values())
        status = [os.fstat(f) for f in self._folders]
        self._clean = [s.st_ctime_ns for s in status]
        self._sizes = [s.st_size for s in status]
        self._cleaner: _socket.socket | None = None
        self.cleaner_pid = 0

    def reset(self) -> int:
        """Make the folders empty and reset their mode and times; how many bytes were in them.

        Costs one system call for a folder that was not used.

        Raises:
            TooMuchToClear: there is too much in them.
        """
        freed = 0
        for k, folder in enumerate(self._folders):
            if os.fstat(folder).st_ctime_ns != self._clean[k]:
                freed += self._clear(k)
                status = os.fstat(folder)
                if (
                    status.st_size != self._sizes[k]
                ):  # some file systems keep the room for the names
                    raise TooMuchToClear
                self._clean[k] = status.st_ctime_ns
        return freed

    def _clear(self, k: int) -> int:
        """Have the cleaner empty a folder; how many bytes that freed."""
        cleaner = self._cleaner or self._start_cleaner()
        cleaner.send(bytes([k]))
        answer = cleaner.recv(_FREED.size)
        if not answer:
            raise TooMuchToClear
        (freed,) = _FREED.unpack(answer)
        return int(freed)

    def _start_cleaner(self) -> _socket.socket:
        """Fork the process that empties folders.

        It learns the names of a grade's files. What this process itself learned would be found by
        later grades, which are forked from it, in their memory.
        """
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        self.cleaner_pid = os.fork()
        if not self.cleaner_pid:
            try:
                self._close_all_but(theirs.fileno())
                while request := theirs.recv(1):
                    theirs.send(_FREED.pack(self._empty(request[0])))
            finally:  # the template has ended, or there is too much to clear
                os._exit(0)
        theirs.close()
        self._cleaner = ours
        return ours

    def _close_all_but(self, channel: int) -> None:
        """The engine must see the template's descriptors close when the template ends."""
        kept = sorted({*self._folders, channel})
        for before, after in itertools.pairwise([-1, *kept, 1 << 16]):
            os.closerange(before + 1, after)

    def _empty(self, k: int) -> int:
        folder = self._folders[k]
        os.fchmod(folder, 0o700)
        freed = empty(folder, self._kept[k])
        os.utime(folder, (0, 0))
        return freed


def empty(folder: int, kept: set[str] | None = None) -> int:
    """Remove all entries of the open folder that are not `kept`; how many bytes that freed.

    Raises:
        TooMuchToClear: there are too many.
    """
    removed = freed = 0
    while names := set(os.listdir(folder)) - (kept or set()):
        for name in names:
            removed += 1
            if removed > _MAX_ENTRIES:
                raise TooMuchToClear
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                freed += _flatten(folder, name)
            else:
                freed += status.st_blocks * _BLOCK
                os.unlink(name, dir_fd=folder)
    return freed


def remove(folder: str) -> None:
    """Remove a folder, whatever graded code has left in it."""
    for _ in range(_TRIES):
        with contextlib.suppress(OSError):
            _remove(folder)
            return
        if not os.path.lexists(folder):
            return
        time.sleep(_PAUSE_S)  # a process that is about to end may still write to it


def remove_unlocked(folder: str) -> None:
    """Remove a folder unless a process keeps it locked.

    A process that an engine was just about to start when it was killed has the lock, too, until it runs
    its own program.
    """
    import fcntl  # Windows, where this file is imported but never used, has none

    with contextlib.suppress(OSError):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        for _ in range(_TRIES):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_PAUSE_S)
                continue
            remove(folder)
            return


def _remove(folder: str) -> None:
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


def _flatten(folder: int, name: str) -> int:
    """Remove one folder; the folders in it are moved up next to it, and removed in the next round."""
    freed = 0
    os.chmod(name, 0o700, dir_fd=folder)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    inner = os.open(name, flags, dir_fd=folder)
    try:
        for entry in os.listdir(inner):
            status = os.stat(entry, dir_fd=inner, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                os.chmod(entry, 0o700, dir_fd=inner)  # without write permission it cannot be moved
                lifted = os.urandom(16).hex()  # a name that no grade can have taken
                os.rename(entry, lifted, src_dir_fd=inner, dst_dir_fd=folder)
            else:
                freed += status.st_blocks * _BLOCK
                os.unlink(entry, dir_fd=inner)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=folder)
    return freed
