"""Files that grow by lines of steps; what a lost worker wrote behind its checkpoint is cut off."""

from __future__ import annotations

import os
import re
from pathlib import Path

_STEP = re.compile(rb'(?:\{"step":)?(\d+),')
"""How a line of a step begins, in JSON Lines and in CSV."""


class StepFile:
    """A file whose lines belong to steps, in their order.

    Args:
        path: of the file; it is made if needed, readable by its owner alone.
        resumed: the last step whose lines stay.
        header: the first line; empty for a file without one.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, path: Path, resumed: int, header: str = "") -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._file = os.fdopen(descriptor, "r+b")
        self._file.truncate(self._end_of(resumed, header))
        self._file.seek(0, os.SEEK_END)
        if header and self._file.tell() == 0:
            self._file.write(header.encode() + b"\n")
        self.sync()

    def _end_of(self, step: int, header: str) -> int:
        """Where the whole lines up to a step end."""
        end = 0
        for number, line in enumerate(self._file):
            found = _STEP.match(line)
            is_header = header and number == 0
            if not line.endswith(b"\n") or not (is_header or (found and int(found[1]) <= step)):
                break
            end += len(line)
        return end

    def append(self, line: bytes) -> None:
        """Add a line."""
        self._file.write(line + b"\n")

    def sync(self) -> None:
        """Bring all lines to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close it; closing twice is allowed."""
        self._file.close()
