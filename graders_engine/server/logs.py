"""The log: one JSON line per request on standard error, without what users sent.

Samples, items and keys are not logged, nor are the messages of exceptions, which may quote them. With
`log_bodies`, requests and responses are logged, and so are these messages.
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, BinaryIO

from graders_engine.language import strict_json

MAX_BODY_BYTES = 64 << 10
"""How much of a body is logged."""


class Log:
    """Writes lines.

    Args:
        stream: where to; standard error by default.
    """

    def __init__(self, stream: BinaryIO | None = None) -> None:
        self._stream = stream or sys.stderr.buffer

    def write(self, line: dict[str, Any]) -> None:
        """Write one line; the time comes first."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        try:
            self._stream.write(strict_json.encode({"time": time, **line}) + b"\n")
            self._stream.flush()
        except OSError:  # nothing reads it any more, which is no reason to stop serving
            pass


class LogHandler(logging.Handler):
    """Writes Python's log records as lines of the same log.

    Args:
        log: where to.
        messages: whether the messages of exceptions are written; they may quote what users sent.
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
            line["exception"] = describe_exception(record.exc_info[1], with_message=self._messages)
        self._log.write(line)


def describe_exception(error: BaseException, *, with_message: bool) -> dict[str, Any]:
    """An exception for the log: its type and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    description: dict[str, Any] = {
        "type": type(error).__name__,
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
    if with_message:
        description["message"] = str(error)
    return description


def body_text(body: bytes) -> str:
    """The beginning of a body."""
    return body[:MAX_BODY_BYTES].decode("utf-8", "replace")
