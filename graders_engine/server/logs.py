"""The log: one JSON line a request on standard error, without what users sent.

Neither samples nor items nor keys are written, nor messages of exceptions, which may quote them; with
`log_bodies` requests and responses are.
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, BinaryIO

from graders_engine.language import strict_json

MAX_SHOWN = 64 << 10
"""Of one body, in bytes."""


class Log:
    """Writes lines.

    Args:
        stream: where to; standard error when left out.
    """

    def __init__(self, stream: BinaryIO | None = None) -> None:
        self._stream = stream or sys.stderr.buffer

    def write(self, line: dict[str, Any]) -> None:
        """Write one line, headed by the time."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            self._stream.write(strict_json.encode({"time": time, **line}) + b"\n")
            self._stream.flush()
        except OSError:  # nobody reads it any more; serving goes on
            pass


class Lines(logging.Handler):
    """Python's log records, of this package and the server's, as lines of the same log.

    Args:
        log: where they go.
        messages: whether exceptions' messages are written; they may quote what users sent.
    """

    def __init__(self, log: Log, *, messages: bool) -> None:
        super().__init__(logging.WARNING)
        self._log, self._messages = log, messages

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        line: dict[str, Any] = {
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = told(record.exc_info[1], message=self._messages)
        self._log.write(line)


def told(error: BaseException, *, message: bool) -> dict[str, Any]:
    """An exception for the log: its type and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    about: dict[str, Any] = {"type": type(error).__name__, "frames": where}
    if message:
        about["message"] = str(error)
    return about


def shown(body: bytes) -> str:
    """The beginning of a body."""
    return body[:MAX_SHOWN].decode("utf-8", "replace")
