"""The log: one JSON line per request on standard error, without what users sent.

Samples, items and keys are not logged, nor are the messages of exceptions, which may quote them. With
`log_bodies`, requests and responses are logged, and so are these messages.
"""

from __future__ import annotations

import logging
import os
import select
import stat
import sys
import traceback
from datetime import UTC, datetime
from io import RawIOBase
from time import monotonic
from typing import Any, BinaryIO, Protocol

from graders_engine.language import strict_json

MAX_BODY_BYTES = 64 << 10
"""How much of a body is logged."""
PIECE_BYTES = 4096
"""So much fits into a pipe that can be written to at all (PIPE_BUF of Linux)."""
LONG_LINE_MS = 1000
"""How long the rest of a longer line may wait for its reader."""
REPEAT_S = 1.0
"""How long the same warning is held back."""
MAX_MESSAGES = 1000
"""Different warnings that are remembered for that."""


class Poll(Protocol):
    """`select.poll`, which Windows lacks."""

    def poll(self, wait_ms: float | None = None) -> list[tuple[int, int]]:
        """The descriptors that are ready, after that time at the latest."""
        ...


class Log:
    """Writes lines. It never waits for a reader, and never fails: a server has to serve with any log.

    Args:
        stream: where to, unbuffered; standard error by default.
    """

    def __init__(self, stream: BinaryIO | RawIOBase | None = None) -> None:
        self._stream = _standard_error() if stream is None else stream
        self._poll = None if self._stream is None else _poll(self._stream)
        self._lost = 0
        self._torn = False

    def write(self, line: dict[str, Any]) -> None:
        """Write one line; the time comes first. It is lost where nothing takes it."""
        if self._stream is None:
            return
        text = _encode(line)
        if self._lost:
            message = f"{self._lost} lines of the log could not be written"
            text = _encode({"level": "warning", "logger": __name__, "message": message}) + text
        if self._torn:
            text = b"\n" + text
        sent = self._write(self._stream, text)
        if sent == len(text):
            self._lost, self._torn = 0, False
        else:
            self._lost += 1
            self._torn = self._torn or sent > 0

    def _write(self, stream: BinaryIO | RawIOBase, text: bytes) -> int:
        """Write as much as is taken; how much that is."""
        sent, wait_ms = 0, 0
        while sent < len(text):
            piece = text[sent:] if self._poll is None else text[sent : sent + PIECE_BYTES]
            if self._poll is not None and not self._poll.poll(wait_ms):
                break
            try:
                count = stream.write(piece)
            except (
                OSError,
                ValueError,
            ):  # the disk is full, nothing reads it any more, it is closed
                break
            if not count:
                break
            sent += count
            wait_ms = LONG_LINE_MS
        return sent


def _standard_error() -> BinaryIO | RawIOBase | None:
    if sys.stderr is None:  # it was closed when the process began
        return None
    buffer: Any = sys.stderr.buffer
    raw: RawIOBase = getattr(buffer, "raw", buffer)  # in a buffer, a line that fails would stay
    return raw


def _poll(stream: BinaryIO | RawIOBase) -> Poll | None:
    """Tells whether a write would wait; None for a file, where none waits, and on Windows."""
    if sys.platform == "win32":
        return None
    try:
        if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            return None
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLOUT)
    except (OSError, ValueError):  # it is no file of the system's
        return None
    return poll


def _encode(line: dict[str, Any]) -> bytes:
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    return strict_json.encode({"time": time, **line}) + b"\n"


class LogHandler(logging.Handler):
    """Writes Python's log records as lines of the same log; the same message once a second at most.

    Args:
        log: where to.
        messages: whether the messages of exceptions are written; they may quote what users sent.
    """

    def __init__(self, log: Log, *, messages: bool) -> None:
        super().__init__(logging.WARNING)
        self._log, self._messages = log, messages
        self._last: dict[tuple[str, str], list[float]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; `held_back` is how many were like it since the last one that was written."""
        message = record.getMessage()
        held_back = self._held_back(record.name, message)
        if held_back is None:
            return
        line: dict[str, Any] = {
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
        }
        if held_back:
            line["held_back"] = held_back
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = describe_exception(record.exc_info[1], with_message=self._messages)
        self._log.write(line)

    def _held_back(self, name: str, message: str) -> int | None:
        """How many such messages were held back; None when this one has to be, too."""
        now = monotonic()
        last = self._last.get((name, message))
        if last is not None and now - last[0] < REPEAT_S:
            last[1] += 1
            return None
        if len(self._last) >= MAX_MESSAGES:
            self._last.clear()
        self._last[name, message] = [now, 0]
        return 0 if last is None else int(last[1])


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
