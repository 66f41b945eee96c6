"""Space on the disk that is given up when it is full, so that something can be deleted."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

RESERVE_BYTES = 1 << 20


class Reserve:
    """A file that takes space.

    Args:
        path: where it is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def make(self) -> None:
        """Make it, if it is not there and there is room."""
        with suppress(OSError):
            if self._path.exists():
                return
            try:
                self._path.write_bytes(os.urandom(RESERVE_BYTES))  # zeros may take no space
            except OSError:
                self._path.unlink(missing_ok=True)

    def give_up(self) -> None:
        """Give its space back."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
