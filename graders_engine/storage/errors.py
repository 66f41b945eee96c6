"""The exceptions of the store.

::

    InvalidRequest
    └── UnknownCursor             the object that a page of a list should begin after is not in the list
    GradersError
    └── StoreError                the folder of files and evals cannot be read or written
        ├── StoreFull             the disk is full
        └── StoreInUse            another server has it
"""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from graders_engine.errors import GradersError, InvalidRequest

_QUOTED_CHARS = 80
"""So much of what was sent is quoted in a message."""


class UnknownCursor(InvalidRequest):
    """Raised when a page of a list should begin after an object that is not in the list.

    Attributes:
        after: what was asked for.
    """

    def __init__(self, after: str) -> None:
        self.after = after
        quoted = after if len(after) <= _QUOTED_CHARS else f"{after[:_QUOTED_CHARS]}…"
        super().__init__(
            f"Invalid 'after': there is no '{quoted}' in this list. Pass the last id of a page."
        )


class StoreError(GradersError):
    """Raised when the folder of files, evals and runs cannot be read or written: a full disk, no rights.

    Its message may go to clients: it names no path, but for errors of opening, which they never see.

    Attributes:
        path: of what failed, for logs; None where the message has it.
    """

    path: Path | None = None


class StoreFull(StoreError):
    """Raised when the disk is full."""


class StoreInUse(StoreError):
    """Raised when another server has the folder."""


_FULL = (errno.ENOSPC, errno.EDQUOT)
_SQLITE_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)


def store_error(what: str, error: OSError | sqlite3.Error, path: Path | None = None) -> StoreError:
    """The store's error in place of one of the system or of SQLite.

    Args:
        what: cannot be done, as a sentence without its end.
        error: what was raised.
        path: of what failed.
    """
    if isinstance(error, OSError):
        full, reason = error.errno in _FULL, error.strerror
    else:
        full, reason = getattr(error, "sqlite_errorcode", 0) in _SQLITE_FULL, str(error)
    made = (
        StoreFull(f"{what}: {reason}. The disk is full: delete files or runs, or make room.")
        if full
        else StoreError(f"{what}: {reason}.")
    )
    made.path = path
    return made
