"""Judges' replies written to a folder, and read from it without any network: for tests and CI."""

from __future__ import annotations

import os
from io import RawIOBase
from pathlib import Path
from typing import Any

import msgspec

from graders_engine.errors import BackendFailure, InvalidRequest
from graders_engine.files import require_regular
from graders_engine.models.base import (
    ModelBackend,
    ModelReply,
    ModelRequest,
    decoded,
    encoded,
    fingerprint,
)
from graders_engine.models.dialects.dialect import KeptReplies
from graders_engine.models.policies import Policy

TRANSCRIPT = "transcript.jsonl"
"""The file in the folder; each line is one request with its reply."""
_START = b'{"key":"'


class TranscriptLine(msgspec.Struct, frozen=True):
    """One line of a transcript.

    Attributes:
        key: hash of the request.
        request: what was asked, with the model's name as in the grader.
        reply: what was answered. Neither holds an API key or a header.
    """

    key: str
    request: Any
    reply: ModelReply


class Transcript:
    """The file of a folder, open for appending; it is written line by line, so a killed run loses none.

    Args:
        folder: is created if needed; an existing transcript is continued.

    Raises:
        InvalidRequest: the folder cannot be written, or what is there cannot be read.
        DataSetError: what is there is no regular file.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / TRANSCRIPT
        require_regular(path, f"--record {folder}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._seen = {exchange.key for exchange in _read(path)} if path.exists() else set()
            self._file = path.open("a+b", buffering=0)
            self._file.truncate(_whole_lines(self._file))
        except OSError as error:
            raise InvalidRequest(f"--record {folder}: {error.strerror}.") from None

    def add(self, request: ModelRequest, reply: ModelReply) -> None:
        """Write an exchange, unless the same request is there already."""
        key = fingerprint(request)
        if key not in self._seen:
            self._seen.add(key)
            reply = msgspec.structs.replace(reply, kept=False)
            exchange = TranscriptLine(key, msgspec.to_builtins(request), reply)
            self._file.write(encoded(exchange) + b"\n")

    def close(self) -> None:
        """Write it to the disk and close it."""
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._file.close()


class Recording(Policy):
    """Writes each request and its reply to a transcript.

    Args:
        backend: what it wraps.
        transcript: where they are written.
    """

    def __init__(self, backend: ModelBackend, transcript: Transcript) -> None:
        super().__init__(backend)
        self._transcript = transcript

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask, and write the exchange."""
        reply = await self.backend.complete(request)
        self._transcript.add(request, reply)
        return reply


class Recorded:
    """Answers from a transcript alone. Its replies are marked as kept.

    Args:
        folder: what `Recording` wrote.

    Raises:
        InvalidRequest: the transcript is missing or cannot be read.
    """

    def __init__(self, folder: Path | str) -> None:
        path = Path(folder) / TRANSCRIPT
        if not path.is_file():
            raise InvalidRequest(f"There is no transcript {path}: make one with --record.")
        self._replies = {exchange.key: exchange.reply for exchange in _read(path)}
        self._path, self._kept = path, KeptReplies()
        self.signature = f"recorded, {len(self._replies)} replies"

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The recorded reply.

        Raises:
            BackendFailure: this request was not recorded.
        """
        reply = self._replies.get(fingerprint(request))
        if reply is None:
            raise BackendFailure(
                f"{self._path} has no reply to this request: the grader, the row or a setting has changed "
                "since it was recorded"
            )
        self._kept.see(request.model, reply.left_out, kept=True)
        return msgspec.structs.replace(reply, kept=True)

    async def close(self) -> None:
        """Does nothing: there is nothing to close."""


def _whole_lines(file: RawIOBase) -> int:
    """Bytes up to the end of the last whole line; a line cut off by a kill is asked for again."""
    file.seek(0)
    return file.readall().rfind(b"\n") + 1


def _is_cut_off(line: bytes) -> bool:
    """Whether it may be the start of an exchange, whose rest a kill has prevented, and nothing else."""
    return line[: len(_START)] == _START[: len(line)]


def _read(path: Path) -> list[TranscriptLine]:
    lines = path.read_bytes().split(b"\n")
    exchanges = []
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                exchanges.append(decoded(line, TranscriptLine))
        except ValueError as error:
            if number == len(lines) and _is_cut_off(line):
                continue
            raise InvalidRequest(f"{path}, line {number}, is not an exchange: {error}.") from None
    return exchanges
