"""What a run has sampled: one line an item, in the order of the items."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator, Mapping
from io import FileIO
from pathlib import Path
from time import monotonic
from typing import Any, Self

import msgspec

from graders_engine.language import strict_json
from graders_engine.outcome import Usage

SYNC_S = 1.0
"""Seconds between two syncs to the disk; a power cut loses the samples after the last one."""
_BLOCK = 1 << 20


class Sampled(msgspec.Struct, frozen=True, gc=False):
    """Who gave a sample, and what it took."""

    model: str
    usage: Usage


class _Line(msgspec.Struct, frozen=True, gc=False):
    """What of a line is counted."""

    sampled: Sampled | None = None


_decode = msgspec.json.Decoder(_Line).decode


def _sampled_in(line: bytes) -> Sampled | None:
    try:
        return _decode(line).sampled
    except (msgspec.DecodeError, UnicodeError):  # a lone surrogate, or a number of many digits
        return msgspec.convert(strict_json.decode(line), _Line).sampled


class SamplesFile:
    """The file, open for appending. It has whole lines alone: a run that was killed continues after the last.

    A line is a row to grade: `item`, and `sample`, or an `error` with an empty `model_sample`. Beside them,
    `sampled` has the model and its tokens.

    Args:
        path: where it is; it is made if needed. A line that was cut off is removed.

    Attributes:
        lines: how many there are.
        used: the tokens by model, and how often it was asked.
        failed: how many of the lines have an error.
        behind_gaps: rows that follow one without an answer: they can be added only where none is awaited.
    """

    def __init__(self, path: Path) -> None:
        self.lines = self.failed = 0
        self.used: dict[str, tuple[int, Usage]] = {}
        self.behind_gaps: list[dict[str, Any]] = []
        self._file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+")
        self._file.truncate(self._read())
        self._synced_at = monotonic()

    def _read(self) -> int:
        """Count what is there; gives the bytes of its whole lines."""
        end, rest = 0, b""
        while block := self._file.read(_BLOCK):
            *whole, rest = (rest + block).split(b"\n")
            for line in whole:
                self._count(_sampled_in(line))
                end += len(line) + 1
        return end

    def _count(self, sampled: Sampled | None) -> None:
        self.lines += 1
        if sampled is None:
            self.failed += 1
            return
        count, usage = self.used.get(sampled.model, (0, Usage()))
        self.used[sampled.model] = (count + 1, usage + sampled.usage)

    async def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows; they are written when this returns, and on the disk soon after.

        Raises:
            OSError: the disk is full, or gone.
        """
        lines = list(_encoded(rows))
        rest = memoryview(b"".join(lines))
        while rest:
            rest = rest[self._file.write(rest) or 0 :]
        for line in lines:
            self._count(_sampled_in(line))
        if monotonic() - self._synced_at >= SYNC_S:
            await asyncio.to_thread(os.fsync, self._file.fileno())
            self._synced_at = monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            os.fsync(self._file.fileno())
        finally:
            self._file.close()


def _encoded(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    for row in rows:
        yield strict_json.encode(row) + b"\n"
