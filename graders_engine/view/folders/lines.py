"""Lines of files: how many there are, and whether the last one is whole."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from graders_engine.files import kind_of

MAX_COUNTED_BYTES = 256 << 20
"""The lines of a larger file are not counted."""


class Written(NamedTuple):
    """What no write to a file, and no replacement of it, leaves as it was: both times are in nanoseconds."""

    at: int
    size: int
    inode: int
    changed_at: int

    def has_only_grown(self, now: Written) -> bool:
        """Whether the file may have become longer since then, and nothing else."""
        later = self.changed_at <= now.changed_at
        return later and self.inode == now.inode and self.size < now.size


def last_write(path: Path) -> Written | None:
    """When a file was written to, its size, and which one it is; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return Written(found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns)


def lines_in(path: Path) -> int | None:
    """How many lines of a file are not empty; None where it is not there, empty, or very large."""
    stamp = last_write(path)
    # What the system makes up as it is read has no size, and may have no end.
    return _lines(path, stamp) if stamp and 0 < stamp.size <= MAX_COUNTED_BYTES else None


@lru_cache(64)
def _lines(path: Path, _stamp: Written) -> int | None:
    try:
        if kind_of(path):
            return None
        with path.open("rb") as file:
            return sum(1 for line in file if not line.isspace())
    except OSError:
        return None


def is_cut(path: Path) -> bool:
    """Whether the last line of a file does not end."""
    try:
        if kind_of(path):
            return False
        with path.open("rb", buffering=0) as file:
            if not file.seek(0, os.SEEK_END):
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:
        return False
