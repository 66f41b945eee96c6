"""Where the page keeps what it has read: numbers of results and texts of data sets, in the user's cache.

A folder belongs to one file and holds `known.json`, which names the folder with the arrays (one array a
file, without a header). What is written gets its name when it is whole; what is odd is made again. Nothing is
written beside the results: their folders are shared, read-only, or under version control.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from threading import Lock
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from graders_engine.home import user_folder

LAYOUT = 2
"""Raised when the files of the cache change; those of another layout are made again."""
MAX_BYTES = 4 << 30
"""The cache's size, beyond which the folders go that were not used for longest."""
_STALE_S = 24 * 3600.0
"""A folder that is not finished after so long is that of a process that was killed."""
_KNOWN = "known.json"
_BLOCK_BYTES = 1 << 20
_log = logging.getLogger("graders_engine")
_making = Lock()
_used: set[str] = set()
"""The names of the folders that this process has used: they stay."""
_pruned = [-math.inf]
_PRUNE_S = 60.0
"""So often it is looked at whether the cache is too large."""
_temporary: list[tempfile.TemporaryDirectory[str]] = []


def root() -> Path:
    """The folder of the cache.

    Raises:
        OSError: there is no home folder to have it.
    """
    folder = user_folder("XDG_CACHE_HOME")
    if folder is None:
        raise FileNotFoundError(errno.ENOENT, "there is no home folder")
    return folder / "graders-engine" / "view"


def digest_of(*parts: object) -> str:
    """A name for a file of the cache that stands for these values."""
    text = json.dumps(parts, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class CacheFolder:
    """The part of the cache that belongs to one file.

    Where the user's cache cannot be written to, it is a folder that goes with this process.

    Args:
        name: as of `digest_of`.
    """

    def __init__(self, name: str) -> None:
        self.path = self._made(name)
        _used.add(name)

    @classmethod
    def at(cls, path: Path) -> Self:
        """The folder at a path, which is there."""
        folder = cls.__new__(cls)
        folder.path = path
        return folder

    @staticmethod
    def _made(name: str) -> Path:
        path = Path(name)
        try:
            path = root() / name
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (root(), path):
                os.chmod(folder, 0o700)
            return path
        except OSError as error:
            with _making:
                if not _temporary:
                    _log.warning(
                        "%s cannot be written to (%s): what is read is kept until the end.",
                        path, error.strerror,
                    )  # fmt: skip
                    _temporary.append(tempfile.TemporaryDirectory(prefix="graders-view-"))
            path = Path(_temporary[0].name, name)
            path.mkdir(mode=0o700, exist_ok=True)
            return path

    def known(self) -> dict[str, Any] | None:
        """What the last `publish` recorded; None if there is nothing, or nothing that can be read."""
        return _known(self.path)

    def touch(self) -> None:
        """Note that it is in use."""
        with suppress(OSError):
            os.utime(self.path)

    def begin(self) -> Path:
        """A new folder for files; it stays only if `publish` names it."""
        made = self.path / f"new-{token_hex(8)}"
        made.mkdir(mode=0o700)
        return made

    def publish(self, folder: Path, known: Mapping[str, Any]) -> None:
        """Make a folder the one that counts; those before it go, and so do others beyond `MAX_BYTES`.

        Raises:
            OSError: the disk is full.
        """
        # Written in the new folder, which no other reader of the same file has, and then moved.
        part = folder / _KNOWN
        part.write_text(json.dumps({**known, "layout": LAYOUT, "folder": folder.name}))
        part.replace(self.path / _KNOWN)
        self.touch()
        for other in self.path.glob("new-*"):
            if other != folder and _is_stale(other):
                shutil.rmtree(other, ignore_errors=True)
        with _making:
            is_due = time.monotonic() - _pruned[0] > _PRUNE_S
            if is_due:
                _pruned[0] = time.monotonic()
        if is_due:
            prune(_used)

    def drop(self, folder: Path) -> None:
        """Remove a folder that is not used by this process any more."""
        shutil.rmtree(folder, ignore_errors=True)


def _known(path: Path) -> dict[str, Any] | None:
    try:
        known = json.loads((path / _KNOWN).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(known, dict) or known.get("layout") != LAYOUT:
        return None
    name = known.get("folder")
    is_ours = isinstance(name, str) and name.startswith("new-") and "/" not in name
    return known if is_ours and (path / str(name)).is_dir() else None


def known_of(name: str) -> dict[str, Any] | None:
    """What is recorded in the folder of this name, which is not made."""
    try:
        return _known(root() / name)
    except OSError:
        return None


def _is_stale(folder: Path) -> bool:
    try:
        return time.time() - folder.stat().st_mtime > _STALE_S
    except OSError:
        return False


def size_of(folder: Path) -> int:
    """The bytes on the disk of all files in a folder."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += _on_disk(os.stat(os.path.join(parent, name)))
    return total


def _on_disk(found: os.stat_result) -> int:
    if sys.platform != "win32":
        return found.st_blocks * 512
    return found.st_size


def prune(kept: Collection[str], max_bytes: int = MAX_BYTES) -> None:
    """Remove the folders that were not used for longest, until the cache has at most `max_bytes`.

    Args:
        kept: names of folders that stay.
        max_bytes: the size.
    """
    found = []
    with suppress(OSError):
        for folder in root().iterdir():
            with suppress(OSError):
                found.append((folder.stat().st_mtime, folder, size_of(folder)))
    left = sum(size for *_, size in found)
    for _, folder, size in sorted(found):
        if left <= max_bytes:
            return
        if folder.name not in kept:
            shutil.rmtree(folder, ignore_errors=True)
            left -= size


def mapped(path: Path, dtype: DTypeLike, rows: int) -> NDArray[Any]:
    """An array of the cache, read as it is used.

    Raises:
        ValueError: the file has another size.
        OSError: it cannot be read.
    """
    size = rows * np.dtype(dtype).itemsize
    if path.stat().st_size != size:
        raise ValueError(f"{path} does not have {size} bytes")
    if not rows:
        return np.empty(0, dtype)
    return np.asarray(np.memmap(path, dtype, mode="r", shape=(rows,)))


def blocks(path: Path, start: int, end: int) -> Iterator[bytes]:
    """The bytes of a file from one offset to another, in blocks; fewer if the file is shorter.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while start < end and (block := file.read(min(_BLOCK_BYTES, end - start))):
            yield block
            start += len(block)


def fingerprint(path: Path, end: int) -> str:
    """A digest of a file's first `end` bytes: a file that only grew has the same one again.

    All of them count: one row that was edited in place would be a wrong number that nothing tells of.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256(str(end).encode())
    for block in blocks(path, 0, end):
        digest.update(block)
    return digest.hexdigest()
