"""What a row prints, where rows share a process: kept in memory, its beginning and its end."""

from __future__ import annotations

import io
import os

from graders_engine.sandbox.inside import wire

TYPE_CHECKING = False  # typing itself is not worth its import in a process that is forked
if TYPE_CHECKING:
    from typing import Any

_MUCH_PRINTED = 3
"""The exit status of a process whose row printed more than it may; the engine grades that row again."""


class _Captured(io.RawIOBase):
    """Takes the bytes of one stream."""

    def __init__(self, descriptor: int, most: int) -> None:
        self._descriptor, self._most = descriptor, most
        self.total = 0
        self.head = self.tail = b""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        """The stream's own descriptor, for processes that are to have it; what they write is not kept."""
        return self._descriptor

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self.total += len(piece)
        if self.total > self._most:
            os._exit(_MUCH_PRINTED)
        room = wire.KEPT - len(self.head)
        if room > 0:
            self.head += piece[:room]
            piece_rest = piece[room:]
        else:
            piece_rest = piece
        self.tail = (self.tail + piece_rest)[-wire.KEPT :]
        return len(piece)


class _Text(io.TextIOWrapper):
    """A stream of text that remembers in its `__dict__` that it was changed."""

    def reconfigure(self, **options: Any) -> None:
        vars(self)["is_changed"] = True
        super().reconfigure(**options)


class Printed:
    """One of the two streams of the rows: `stream` is what `sys.stdout` or `sys.stderr` is to be.

    Args:
        name: "stdout" or "stderr".
        descriptor: its number.
        most: bytes that one row may print to it.
    """

    def __init__(self, name: str, descriptor: int, most: int) -> None:
        self._name, self._descriptor, self._most = name, descriptor, most
        self._renew()

    def _renew(self) -> None:
        self._kept = _Captured(self._descriptor, self._most)
        buffered = io.BufferedWriter(self._kept, 8192)
        self.stream = _Text(
            buffered, encoding="utf-8", errors="backslashreplace", line_buffering=True
        )
        self.stream.mode = "w"  # type: ignore[misc]  # as the streams of an interpreter have it
        self._attributes = dict(self.stream.__dict__)

    def take(self) -> tuple[int, bytes]:
        """How many bytes the row printed, and what is kept of them; forgets them."""
        kept, is_changed = self._kept, self.stream.__dict__ != self._attributes
        try:
            _Text.flush(self.stream)
        except ValueError:  # the row has closed it
            is_changed = True
        printed = kept.total, kept.head + kept.tail
        if kept.total or is_changed:
            self._renew()
        return printed
