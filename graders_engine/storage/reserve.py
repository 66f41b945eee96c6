"""Space on the disk that is given up when it is full, so that something can be deleted."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

RESERVE_BYTES = 1 << 20
_STEP = 1 << 14


class Reserve:
    """A file that takes space.

    Args:
        path: where it is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def make(self) -> None:
        """Make it, as large as there is room for; what is there of it stays."""
        # A deletion may free less than it has cost: what is left is kept from others, too.
        with suppress(OSError), self._path.open("ab", buffering=0) as file:
            while (left := RESERVE_BYTES - file.tell()) > 0:
                file.write(os.urandom(min(left, _STEP)))  # zeros may take no space

    @property
    def bytes(self) -> int:
        """How much space it takes; 0 where it is not there."""
        with suppress(OSError):
            return self._path.stat().st_size
        return 0

    def give_up(self) -> None:
        """Give its space back."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
