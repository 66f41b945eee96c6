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
DISK_FULL = "disk_full"
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
_AGAIN = "then create another run. What this run was answered, it keeps."
ADVICE = {
    "model_not_available": "Check the name of the model, and the address and the key of its endpoint "
    f"(--base-url or graders.toml of the server); {_AGAIN}",
    "grader_not_available": "Check what the criteria need: model, address and key of a judge, the sandbox "
    f"of python code; {_AGAIN}",
    "invalid_grader": "Correct the criterion in a new eval: criteria of an eval do not change.",
    "invalid_request": "Correct the data source in another run.",
    "budget_spent": f"Raise the budget of the server (--max-tokens, --max-cost); {_AGAIN}",
    "data_error": "Correct the rows, and create another run.",
    "storage_error": "See that the folder of the server can be written; then create another run.",
    "worker_died": "The whole log is in the run's folder, worker.log; too little memory is a usual reason.",
}
"""What to do about a failure whose message does not say it itself, by its code."""


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
            "code": DISK_FULL,
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
