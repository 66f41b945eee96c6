"""What a grade takes of the disk, in the tiers whose scratch folder has no file system of its own.

All of it: files in the folder however deep, files that were unlinked and are still open, and files
that are only mapped. Names are looked up relative to open folders, so that no path is too long. In
the landlock tier the grade stands still meanwhile: it cannot move what is being counted.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator

from graders_engine.sandbox.inside.plan import LANDLOCK, MAX_FILES, Plan

_BLOCK = 512  # what st_blocks counts
_STEP = 2000  # bytes of a relative path; beyond it the next folder is opened
_MAX_OPEN = 64  # folders that are open at a time
COUNT_S = 0.2
"""Processor time that one count may take; 20,000 files take half of it."""
_STOP_S = 0.02  # within this time a process stands still, unless the disk makes it wait
if sys.platform != "win32":  # where this file is imported, and nothing in it is used
    _FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_STILL = (b"T", b"t", b"Z", b"X")


class _TooMuch(Exception):
    """Raised when it is certain that the limit is passed."""


def exceeds(plan: Plan, pids: list[int]) -> bool:
    """Whether a grade has passed its limits on bytes and files. `pids` are its processes."""
    folder = os.path.realpath(plan.folder)  # as /proc shows it
    if not _is_used(folder, pids):
        return False
    with _standing_still(pids if plan.tier == LANDLOCK else ()):
        try:
            return _Count(folder).of(pids) > plan.disk_bytes
        except _TooMuch:
            return True


def _is_used(folder: str, pids: list[int]) -> bool:
    """Whether there is anything to count, as far as a quick look tells: not for most grades."""
    try:
        with os.scandir(folder) as entries:
            if any(True for _ in entries):
                return True
    except OSError:
        return True
    return any(True for pid in pids for _ in _open_files(pid, folder)) or any(
        _mapped(pid, folder) for pid in pids
    )


class _Count:
    """Adds up the blocks of distinct files.

    What takes too long to count is too much: a grade could hide behind a crowd of folders.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._until = time.thread_time() + COUNT_S
        self._seen: set[tuple[int, int]] = set()
        self._bytes = self._entries = 0

    def of(self, pids: list[int]) -> int:
        """The bytes taken by the folder and by what the processes hold."""
        self._add_folder()
        for pid in pids:
            for found in _open_files(pid, self._folder):
                self._add(found)
        known = {inode for _, inode in self._seen}
        if any(_mapped(pid, self._folder) - known for pid in pids):
            raise _TooMuch  # unlinked, closed and mapped: its size cannot be known
        return self._bytes

    def _add(self, found: os.stat_result) -> None:
        key = (found.st_dev, found.st_ino)
        if key not in self._seen:
            self._seen.add(key)
            self._bytes += found.st_blocks * _BLOCK

    def _add_folder(self) -> None:
        try:
            pending = [(_Folder(None, self._folder), ".")]
        except FileNotFoundError:
            return  # the engine ends and has removed it; what the processes hold is counted
        while pending:
            anchor, path = pending.pop()
            if len(path) > _STEP:
                anchor, path = _Folder(anchor, path), "."
            try:
                descriptor = anchor.open(path)
            except OSError:
                continue  # removed meanwhile, in the tier where nothing stands still
            try:
                self._add(os.fstat(descriptor))
                with os.scandir(descriptor) as entries:
                    for entry in entries:
                        self._entries += 1
                        if self._entries > MAX_FILES:
                            raise _TooMuch
                        if time.thread_time() > self._until:
                            raise _TooMuch
                        if entry.is_dir(follow_symlinks=False):
                            pending.append((anchor, f"{path}/{entry.name}"))
                        else:
                            with contextlib.suppress(FileNotFoundError):
                                self._add(entry.stat(follow_symlinks=False))
            finally:
                os.close(descriptor)


class _Folder:
    """An open folder; it is closed when nothing refers to it."""

    open_now = 0

    def __init__(self, parent: _Folder | None, path: str) -> None:
        self._descriptor = -1
        if _Folder.open_now >= _MAX_OPEN:
            raise _TooMuch  # a tree that only an attack has
        self._descriptor = parent.open(path) if parent else os.open(path, _FLAGS)
        _Folder.open_now += 1

    def open(self, path: str) -> int:
        """Open a folder below it, even one that its owner may not read."""
        try:
            return os.open(path, _FLAGS, dir_fd=self._descriptor)
        except PermissionError:
            # by descriptor: by its path, a link that has taken its place meanwhile would be followed
            found = os.open(path, _FLAGS | os.O_PATH, dir_fd=self._descriptor)
            try:
                os.chmod(f"/proc/self/fd/{found}", 0o700)
                return os.open(f"/proc/self/fd/{found}", _FLAGS & ~os.O_NOFOLLOW)
            finally:
                os.close(found)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            _Folder.open_now -= 1


def _open_files(pid: int, folder: str) -> Iterator[os.stat_result]:
    """The files of the folder that a process has open."""
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{name}").startswith(folder + "/"):
                    yield os.stat(f"/proc/{pid}/fd/{name}")


def _mapped(pid: int, folder: str) -> set[int]:
    """The inodes of files of the folder that are mapped and have been unlinked."""
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            text = file.read()
    except OSError:
        return set()
    place = os.fsencode(folder) + b"/"
    if place not in text:
        return set()
    lines = [line for line in text.splitlines() if line.endswith(b" (deleted)") and place in line]
    return {int(line.split(None, 5)[4]) for line in lines}


@contextlib.contextmanager
def _standing_still(pids: Iterable[int]) -> Iterator[None]:
    stopped = []
    try:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                stopped.append(pid)
        deadline = time.monotonic() + _STOP_S
        while not all(map(_is_still, stopped)) and time.monotonic() < deadline:
            time.sleep(0.0005)
        yield
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _is_still(pid: int) -> bool:
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/stat", "rb") as file:
                if file.read().rpartition(b")")[2].split()[0] not in _STILL:
                    return False
    return True
