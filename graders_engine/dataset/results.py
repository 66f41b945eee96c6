"""Results out: one line a row, append-only, so that whatever ends a run loses nothing that was written.

A results file `r.jsonl` has a file `r.jsonl.meta.json` beside it: which grader, data and settings gave
it. A run that finds both, and the same three, goes on behind the last whole line.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self

import msgspec

from graders_engine.errors import DataSetError
from graders_engine.outcome import RowOutcome, Status, Usage

WRITE_BYTES = 1 << 18
"""Results held back before they are written, at most."""
WRITE_S = 0.5
"""Seconds that a result is held back, at most (looked at whenever one is added)."""
SYNC_S = 2.0
"""Seconds between two syncs to the disk; a power cut loses what came after the last one."""


class ResultLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a results file.

    Attributes:
        line: number of the row's line in the data set, from 1.
        reward: the reward; null when there is none.
        status: "scored", "invalid" (the row's or the grader's fault) or "failed" (infrastructure).
        sub_rewards: of a multi, by key.
        flags: the flags that are set, by wire name, with details.
        seconds: wall time of the grading.
        sample: place of the sample among those of its line, from 0; not written for the first.
        group: what the samples of one prompt have in common; not written where there is one a prompt.
        usage: the tokens of judges, by model; not written where there were none.
        repeats: where a judge was asked several times, each answer's reward, by the grader's key.
    """

    line: int
    reward: float | None
    status: Status
    sub_rewards: dict[str, float | None]
    flags: dict[str, str]
    seconds: float
    sample: int = 0
    group: str | None = None
    usage: dict[str, Usage] = {}
    repeats: dict[str, list[float]] = {}


def result_line(
    line: int, row: RowOutcome, sample: int = 0, group: str | None = None
) -> ResultLine:
    """The line for one graded row."""
    outcome = row.outcome
    return ResultLine(
        line,
        outcome.reward,
        outcome.status,
        outcome.sub_rewards,
        row.flags,
        row.seconds,
        sample,
        group,
        outcome.usage,
        outcome.repeats,
    )


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(ResultLine)


def _encoded(result: ResultLine) -> bytes:
    try:
        return _encode(result)
    except UnicodeEncodeError:  # a lone surrogate from the row, quoted in a flag's details
        return json.dumps(msgspec.to_builtins(result), separators=(",", ":")).encode()


class ResultsFile:
    """An open results file; only one run may have it open.

    Args:
        path: where it is.
        identity: what gave the results: JSON values, compared with what the file says.
        overwrite: begin anew even if there are results.

    Raises:
        DataSetError: another run has it open, or it holds other results, or it cannot be written.
    """

    def __init__(self, path: Path, identity: dict[str, Any], *, overwrite: bool = False) -> None:
        self.path = path
        self.meta_path = path.with_name(path.name + ".meta.json")
        self._held: list[bytes] = []
        self._held_bytes = 0
        # Whatever ends a write in the middle, a full disk or Ctrl-C, nothing may follow the torn line.
        self._cut_off = False
        self._written_at = self._synced_at = monotonic()
        try:
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise DataSetError(
                f"The results cannot be written: {path}: {error.strerror}."
            ) from None
        try:
            self._lock()
            self._agree(identity, overwrite=overwrite)
        except BaseException:
            self._file.close()
            raise

    def _lock(self) -> None:
        if sys.platform == "win32":  # no flock there; two runs at once are then the user's care
            return
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataSetError(
                f"Another run is writing to {self.path}: wait for it, or end it."
            ) from None

    def _agree(self, identity: dict[str, Any], *, overwrite: bool) -> None:
        """Make sure that what is in the file came from the same grader, data and settings."""
        size = os.fstat(self._file.fileno()).st_size
        if overwrite:
            self._file.truncate(0)
        elif size:
            differing = sorted(
                key for key, value in self._meta().items() if identity.get(key) != value
            )
            if differing:
                raise DataSetError(
                    f"{self.path} holds results of another run: other {' and '.join(differing)}. "
                    "Write to another file, or say --overwrite to begin anew."
                )
            self._cut_torn_line(size)
            return
        self._write_meta(identity)

    def _meta(self) -> dict[str, Any]:
        try:
            meta = json.loads(self.meta_path.read_bytes())
        except (OSError, ValueError):
            meta = None
        if not isinstance(meta, dict):
            raise DataSetError(
                f"{self.path} exists, but {self.meta_path.name} does not say what gave it. "
                "Write to another file, or say --overwrite to begin anew."
            )
        return meta

    def _write_meta(self, identity: dict[str, Any]) -> None:
        temporary = self.meta_path.with_name(self.meta_path.name + ".tmp")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                json.dump(identity, file, indent=2, ensure_ascii=True)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.meta_path)
        except OSError as error:
            raise DataSetError(f"{self.meta_path} cannot be written: {error.strerror}.") from None

    def _cut_torn_line(self, size: int) -> None:
        """End the file behind its last whole line."""
        end = size
        while end:
            start = max(0, end - WRITE_BYTES)
            self._file.seek(start)
            newline = self._file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            self._file.truncate(end)

    def read(self) -> Iterator[ResultLine]:
        """The results that are in the file.

        Raises:
            DataSetError: a line is not a result.
        """
        self._file.seek(0)
        for number, line in enumerate(self._file, 1):
            try:
                yield _decoder.decode(line)
            except msgspec.MsgspecError as error:
                raise DataSetError(
                    f"{self.path}, line {number}, is not a result: {error}."
                ) from None

    def add(self, result: ResultLine) -> None:
        """Append a result; it is on disk after the next `flush` at the latest."""
        line = _encoded(result)
        self._held.append(line)
        self._held_bytes += len(line) + 1
        if self._held_bytes >= WRITE_BYTES or monotonic() - self._written_at >= WRITE_S:
            self.flush()

    def flush(self, *, sync: bool = False) -> None:
        """Write what is held back.

        Raises:
            DataSetError: the disk is full, or gone; whole lines before that stay.
        """
        if self._cut_off:
            return
        self._cut_off = True
        try:
            if self._held:
                held, self._held, self._held_bytes = self._held, [], 0
                self._write(b"\n".join([*held, b""]))
            self._written_at = monotonic()
            if sync or self._written_at - self._synced_at >= SYNC_S:
                os.fsync(self._file.fileno())
                self._synced_at = monotonic()
        except OSError as error:
            raise DataSetError(
                f"The results cannot be written: {self.path}: {error.strerror}. "
                "What was written before stays; the same command goes on from there."
            ) from None
        self._cut_off = False

    def _write(self, lines: bytes) -> None:
        rest = memoryview(lines)
        while rest:
            rest = rest[self._file.write(rest) :]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.flush(sync=True)
        finally:
            self._file.close()
