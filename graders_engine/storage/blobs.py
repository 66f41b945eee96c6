"""Contents of files, a file each in one folder: `ID.part` while it comes, `ID` when it is whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from graders_engine.storage.errors import store_error
from graders_engine.storage.ids import as_name
from graders_engine.storage.lock import ProcessLock, hold

PART = ".part"
SYNC_BYTES = 32 << 20
"""So many bytes are left to the system at most, before it has to bring them to the disk."""


_sync_content = getattr(os, "fdatasync", os.fsync)  # macOS has the latter alone


class PartFile:
    """A content that is being written. It has no row: nobody can ask for it, and it goes with its writer.

    Args:
        folder: where the contents are.
        id: of the file that it becomes.

    Attributes:
        bytes: its length so far.

    Raises:
        StoreError: it cannot be made.
    """

    def __init__(self, folder: Path, id: str) -> None:  # noqa: A002 - the wire's word
        self.id, self.bytes = id, 0
        self._folder, self._path = folder, folder / f"{as_name(id)}{PART}"
        self._digest, self._unsynced = hashlib.sha256(), 0
        with our_errors("The file"):
            self._file = self._opened()

    def _opened(self) -> FileIO:
        while True:
            file = FileIO(self._path, "xb", opener=_private)
            hold(file.fileno())
            if os.fstat(file.fileno()).st_nlink:
                return file
            file.close()  # a server that starts has removed it before it was held

    @property
    def sha256(self) -> str:
        """The digest of what is written so far, in hexadecimal."""
        return self._digest.hexdigest()

    def write(self, content: bytes | memoryview) -> None:
        """Append to it.

        Raises:
            StoreError: the disk is full, or fails.
        """
        self._digest.update(content)
        left = memoryview(content)
        with our_errors("The file"):
            while left:
                left = left[self._file.write(left) :]
            self.bytes += len(content)
            self._unsynced += len(content)
            if self._unsynced > SYNC_BYTES:
                _sync_content(self._file.fileno())
                self._unsynced = 0

    def sync(self) -> None:
        """Bring all of it to the disk.

        Raises:
            StoreError: the disk is full, or fails.
        """
        with our_errors("The file"):
            os.fsync(self._file.fileno())

    def finish(self) -> Path:
        """Give it its name, after `sync`; where it is from now on.

        Raises:
            StoreError: the disk is full, or fails.
        """
        whole = self._folder / as_name(self.id)
        with our_errors("The file"):
            self._file.close()
            self._path.rename(whole)
            sync_folder(self._folder)
        return whole

    def discard(self) -> None:
        """Remove what is written, whatever it has become; removing it twice is allowed."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk.

    Raises:
        OSError: it cannot be done.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def our_errors(
    subject: str, path: Path | None = None, *, cannot: str = "be stored"
) -> Iterator[None]:
    """Turn an error of the system into the store's.

    Args:
        subject: what is stored or read, by a name that clients may see.
        path: where it is, for logs.
        cannot: what fails.

    Raises:
        StoreError: in place of any OSError.
    """
    try:
        yield
    except OSError as error:
        raise store_error(f"{subject} cannot {cannot}", error, path) from error


def clean_up(folder: Path, known: Collection[str]) -> int:
    """Remove contents that no row names, and parts that nobody writes; how many."""
    removed = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            lock = ProcessLock(Path(entry))
            if entry.name in known or not lock.take():
                continue
            lock.release_where_it_keeps_files()
            with suppress(OSError):
                os.unlink(entry)
                removed += 1
            lock.release()
    return removed
