"""Notice that a file changed between two moments."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from graders_engine.errors import DataSetError
from graders_engine.files import STDIN
from graders_engine.urls import Location


class State(Protocol):
    """A file as it was when it was opened, on this machine or at a URL."""

    @property
    def path(self) -> Location:
        """The file."""
        ...

    @property
    def stamp(self) -> list[Any]:
        """What no write to the file leaves as it was: JSON values; empty if nothing tells."""
        ...

    def change(self) -> str:
        """What happened to the file since then, as the end of a sentence; empty if nothing did."""
        ...


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was when it was opened.

    Attributes:
        path: the file; "-" for the one on standard input.
        found: what the system says of it.
    """

    path: Path
    found: os.stat_result

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """The state of a file; None for what is no regular file, such as a pipe.

        Raises:
            OSError: nothing can be said of it.
        """
        try:
            found = os.fstat(sys.stdin.fileno()) if path == STDIN else os.stat(path)
        except ValueError:  # standard input is closed, or no file of the system
            return None
        return cls(path, found) if stat.S_ISREG(found.st_mode) else None

    @property
    def stamp(self) -> list[int]:
        """What no write to the file, and no replacement of it, leaves as it was."""
        found = self.found
        return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]

    def change(self) -> str:
        """What happened to the file since then, as the end of a sentence; empty if nothing did."""
        try:
            now = type(self).of(self.path)
        except OSError:
            now = None
        if now is None:
            return "was removed"
        grown = now.found.st_size - self.found.st_size
        if grown:
            return f"has {abs(grown)} bytes {'more' if grown > 0 else 'less'} than at the beginning"
        # The change time shows what sets the time of the last write back; on standard input, where nothing
        # can be read again, it would also show that a link was made to the file.
        times = ("st_mtime_ns",) if self.path == STDIN else ("st_mtime_ns", "st_ctime_ns")
        names = ("st_dev", "st_ino", *times)
        same = all(getattr(now.found, name) == getattr(self.found, name) for name in names)
        return "" if same else MAY_DIFFER


MAY_DIFFER = "was written to or replaced"
"""A change that may have left the content as it was."""


def require_unchanged(
    states: Iterable[State], same_content: Callable[[], bool] = lambda: False
) -> None:
    """Check that files are still what they were when they were opened.

    Args:
        states: of the files then.
        same_content: reads them again, if that is the only way to know.

    Raises:
        DataSetError: one has changed.
    """
    changes = [(state, change) for state in states if (change := state.change())]
    if changes and all(change == MAY_DIFFER for _, change in changes) and same_content():
        return
    for state, change in changes:
        raise DataSetError(f"The data changed during the run: {state.path} {change}.")
