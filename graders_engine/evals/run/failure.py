"""Why a whole run failed: a code and a sentence."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator

from graders_engine.errors import (
    BudgetSpent,
    DataSetError,
    GradersError,
    InvalidGrader,
    InvalidRequest,
    RunStopped,
    UnavailableGrader,
)

_FULL = (errno.ENOSPC, errno.EDQUOT)
_CODES: tuple[tuple[type[BaseException], str], ...] = (
    (InvalidGrader, "invalid_grader"),
    (UnavailableGrader, "grader_not_available"),
    (InvalidRequest, "invalid_request"),
    (BudgetSpent, "budget_spent"),
    (RunStopped, "grader_not_available"),
    (DataSetError, "data_error"),
    (GradersError, "storage_error"),
    (OSError, "storage_error"),
)
"""The code of a failure by what was raised; the first class that fits decides."""


class RunFailed(Exception):
    """Raised when a run cannot go on, also not by another attempt.

    Attributes:
        code: a short word for programs.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


def failure_of(error: BaseException) -> dict[str, str]:
    """The run's `error`: `code` and `message`."""
    if isinstance(error, RunFailed):
        return {"code": error.code, "message": str(error)}
    if any(map(_is_full, _chain(error))):
        return {
            "code": "disk_full",
            "message": f"The disk is full: make room and create another run. ({error})",
        }
    code = next(code for kind, code in _CODES if isinstance(error, kind))
    message = error.reason if isinstance(error, RunStopped) else str(error)
    return {"code": code, "message": message}


def _chain(error: BaseException) -> Iterator[BaseException]:
    at: BaseException | None = error
    while at is not None:
        yield at
        at = at.__cause__ or at.__context__


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in _FULL
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) == 13  # FULL
