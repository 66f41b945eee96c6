"""Copies of files at URLs, on this machine, for as long as the process lives.

Rows are read several times, from places in the middle, and by other processes; so what is at a URL is copied
once, as a whole, to a folder for temporary files: no row is graded before all of them are here. The folder is
removed when the process ends, and by the next process if it is killed.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from graders_engine.dataset.rows.remote import Found, Missing, RemoteFile
from graders_engine.errors import DataSetError
from graders_engine.files import digest_of
from graders_engine.urls import Url

if TYPE_CHECKING:
    from filelock import BaseFileLock

LARGE_BYTES = 256 << 20
"""Of a larger file, it is logged that it is copied."""
_PREFIX = "graders-data-"
_LOCK = "lock"
_OLD_S = 60.0
"""A folder that is younger may not have its lock yet."""
_log = logging.getLogger("graders_engine")


@dataclass(frozen=True, slots=True)
class RemoteCopy:
    """The copy of what was at a URL.

    Attributes:
        path: the URL.
        file: the copy.
        found: what was said of the file when it was copied.
    """

    path: Url
    file: Path
    found: Found

    @property
    def stamp(self) -> list[str]:
        """What no write to the file leaves as it was; empty if nothing tells, or if URLs look the same."""
        if not self.found.facts or self.path.secrets:
            return []
        return [
            str(self.path),
            str(self.found.size),
            *(f"{key}={fact}" for key, fact in sorted(self.found.facts.items())),
        ]

    def change(self) -> str:
        """What happened to the file since then, as the end of a sentence; empty if nothing is known.

        All of it is here: where it may not be looked at again, as with a signature that has expired, that is
        only logged.
        """
        try:
            return self.change_seen()
        except DataSetError as error:
            _log.warning("Whether it changed meanwhile is not known: %s", error)
            return ""

    def change_seen(self) -> str:
        """What happened to the file since then; empty if nothing did.

        It is read once more where only its time or its tag differs, for it may be the same content; and where
        nothing is said of it that would differ.

        Raises:
            DataSetError: it cannot be seen.
        """
        try:
            now = RemoteFile(self.path).found()
        except Missing:
            return "was removed"
        if now == self.found and now.facts:
            return ""
        if now.size is not None and self.found.size is not None and now.size != self.found.size:
            grown = now.size - self.found.size
            return f"has {abs(grown)} bytes {'more' if grown > 0 else 'less'} than at the beginning"
        again = self.file.with_name(f"{self.file.name}.again")
        try:
            RemoteFile(self.path).fetch(again)
            return "" if digest_of(again) == digest_of(self.file) else "has other content"
        finally:
            again.unlink(missing_ok=True)


class _Copies:
    """The copies of this process, in a folder with a lock, which other processes see."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._folder: Path | None = None
        self._held: BaseFileLock | None = None
        self._owner = 0
        self._copies: dict[Url, RemoteCopy] = {}
        self._count = 0

    def of(self, url: Url) -> RemoteCopy:
        with self._lock:
            known = self._copies.get(url)
            if known is None or self._owner != os.getpid() or known.change_seen():
                known = self._copies[url] = self._fetched(url)
            return known

    def _fetched(self, url: Url) -> RemoteCopy:
        remote = RemoteFile(url)
        folder = self._place()
        _require_room(url, folder, remote.found().size)
        self._count += 1
        file = folder / str(self._count)
        try:
            found = remote.fetch(file)
        except BaseException:
            with suppress(OSError):  # what is raised is why it cannot be fetched
                file.unlink(missing_ok=True)
            raise
        return RemoteCopy(url, file, found)

    def _place(self) -> Path:
        if self._folder is not None and self._owner == os.getpid():
            return self._folder
        from filelock import FileLock

        _remove_left()
        self._owner, self._copies = os.getpid(), {}
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._held = FileLock(self._folder / _LOCK, thread_local=False)
        self._held.acquire(blocking=False)
        atexit.register(self._remove)
        return self._folder

    def _remove(self) -> None:
        if self._folder is None or self._owner != os.getpid():
            return
        if self._held is not None:
            self._held.release()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None


_COPIES = _Copies()


def copy_of(url: Url) -> RemoteCopy:
    """The copy of what is at a URL now; one that is here already is used if nothing changed.

    Raises:
        DataSetError: it cannot be read to its end, or there is no room for it.
        InvalidRequest: the scheme of the URL is unknown.
    """
    return _COPIES.of(url)


def _require_room(url: Url, folder: Path, size: int | None) -> None:
    if size is None or size < LARGE_BYTES:
        return
    free = shutil.disk_usage(folder).free
    if free < size:
        raise DataSetError(
            f"{url} has {size:,} bytes, and {folder.parent} has room for {free:,}: set TMPDIR to a "
            "folder with more, or pass - and write the data to standard input."
        )
    _log.warning(
        "%s: %s MB are copied to %s first, and removed when this ends.",
        url, f"{size / 1e6:,.0f}", folder.parent,
    )  # fmt: skip


def _remove_left() -> None:
    """Remove the folders of processes that were killed: nobody holds their locks."""
    from filelock import FileLock

    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(Exception):  # another user's, or another process removes it, too
            if time.time() - folder.stat().st_mtime < _OLD_S:
                continue
            lock: Any = FileLock(folder / _LOCK)
            lock.acquire(blocking=False)
            lock.release()
            shutil.rmtree(folder)
