"""Judges' replies written to a folder, and given back from it without any network: for tests and CI."""

from __future__ import annotations

import os
from io import RawIOBase
from pathlib import Path
from typing import Any

import msgspec

from graders_engine.errors import BackendFailure, InvalidRequest
from graders_engine.models.base import (
    ModelBackend,
    ModelReply,
    ModelRequest,
    decoded,
    encoded,
    fingerprint,
)
from graders_engine.models.policies import Policy

TRANSCRIPT = "transcript.jsonl"
"""The file in the folder: one request with its reply a line."""


class TranscriptLine(msgspec.Struct, frozen=True):
    """One line of a transcript.

    Attributes:
        key: hash of the request.
        request: what was asked, with the model's name as the grader has it.
        reply: what was answered. Neither ever holds a key or a header.
    """

    key: str
    request: Any
    reply: ModelReply


class Transcript:
    """The file of a folder, open for more; a line a time, so a killed run loses none.

    Args:
        folder: made when there is none; a transcript that is there is added to.

    Raises:
        InvalidRequest: the folder cannot be written, or what is there cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / TRANSCRIPT
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._seen = {exchange.key for exchange in _read(path)} if path.exists() else set()
            self._file = path.open("a+b", buffering=0)
            self._file.truncate(_whole_lines(self._file))
        except OSError as error:
            raise InvalidRequest(f"--record {folder}: {error.strerror}.") from None

    def add(self, request: ModelRequest, reply: ModelReply) -> None:
        """Write an exchange down, unless the same request is there already."""
        key = fingerprint(request)
        if key not in self._seen:
            self._seen.add(key)
            exchange = TranscriptLine(key, msgspec.to_builtins(request), reply)
            self._file.write(encoded(exchange) + b"\n")

    def close(self) -> None:
        """Bring it to the disk."""
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._file.close()


class Recording(Policy):
    """Writes each request and its reply to a transcript.

    Args:
        backend: what it wraps.
        transcript: where to.
    """

    def __init__(self, backend: ModelBackend, transcript: Transcript) -> None:
        super().__init__(backend)
        self._transcript = transcript

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask, and write it down."""
        reply = await self.backend.complete(request)
        self._transcript.add(request, reply)
        return reply


class Recorded:
    """Answers from a transcript, and from nothing else.

    Args:
        folder: what `Recording` wrote.

    Raises:
        InvalidRequest: there is no transcript, or it cannot be read.
    """

    def __init__(self, folder: Path | str) -> None:
        path = Path(folder) / TRANSCRIPT
        if not path.is_file():
            raise InvalidRequest(f"There is no transcript {path}: make one with --record.")
        self._replies = {exchange.key: exchange.reply for exchange in _read(path)}
        self._path = path
        self.signature = f"recorded, {len(self._replies)} replies"

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The recorded reply.

        Raises:
            BackendFailure: this request was not recorded.
        """
        reply = self._replies.get(fingerprint(request))
        if reply is None:
            raise BackendFailure(
                f"{self._path} has no reply to this request: the grader, the row or a setting is another "
                "one than when it was recorded"
            )
        return reply

    async def close(self) -> None:
        """Nothing is held."""


def _whole_lines(file: RawIOBase) -> int:
    """Bytes up to the last line's end; what a kill tore off behind it is asked for again."""
    file.seek(0)
    return file.readall().rfind(b"\n") + 1


def _read(path: Path) -> list[TranscriptLine]:
    lines = path.read_bytes().split(b"\n")
    exchanges = []
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                exchanges.append(decoded(line, TranscriptLine))
        except ValueError as error:
            if number == len(lines):  # torn by a kill
                continue
            raise InvalidRequest(f"{path}, line {number}, is no exchange: {error}.") from None
    return exchanges
