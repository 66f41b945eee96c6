"""Results out: one line a row, append-only, so that whatever ends a run loses nothing that was written.

A results file `r.jsonl` has a file `r.jsonl.meta.json` beside it: which grader, data and settings gave
it. A run that finds both, and the same three, goes on behind the last whole line. Which bytes of the data
the lines came from stands in `r.jsonl.index.sqlite` (`index.Index`).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from io import BufferedWriter, FileIO
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self

from graders_engine.dataset.results.line import ResultLine, encoded, results_in
from graders_engine.errors import DataSetError

WRITE_BYTES = 1 << 18
"""Results held back before they are written, at most."""
WRITE_S = 0.5
"""Seconds that a result is held back, at most (looked at whenever one is added)."""
SYNC_S = 2.0
"""Seconds between two syncs to the disk; a power cut loses what came after the last one."""


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
        self.index_path = path.with_name(path.name + ".index.sqlite")
        self._held: list[bytes] = []
        self._held_bytes = 0
        # Whatever ends a write in the middle, a full disk or Ctrl-C, nothing may follow the torn line.
        self._cut_off = False
        self._written_at = self._synced_at = monotonic()
        self._temporary = path.with_name(path.name + ".tmp")
        self._file = self._locked()
        try:
            self._temporary.unlink(missing_ok=True)  # of a run that was killed in `replace`
            self._agree(identity, overwrite=overwrite)
        except BaseException:
            self._file.close()
            raise

    def _locked(self) -> FileIO:
        """The file, opened and held against other runs."""
        while True:
            try:
                file = FileIO(self.path, "a+")
            except OSError as error:
                raise DataSetError(
                    f"The results cannot be written: {self.path}: {error.strerror}."
                ) from None
            try:
                lock(file, self.path)
                if self.path.exists() and os.path.samestat(
                    os.fstat(file.fileno()), self.path.stat()
                ):
                    return file
            except BaseException:
                file.close()
                raise
            file.close()  # another run put a new file in its place just then

    def _agree(self, identity: dict[str, Any], *, overwrite: bool) -> None:
        """Make sure that what is in the file came from the same grader, data and settings."""
        size = os.fstat(self._file.fileno()).st_size
        if overwrite:
            self._file.truncate(0)
        elif size:
            meta = self._meta()
            differing = sorted(
                key
                for key in meta
                if _known_by(key, identity.get(key)) != _known_by(key, meta[key])
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

    def read(self) -> Iterator[tuple[int, ResultLine]]:
        """The results that are in the file, each with the bytes up to its end.

        Raises:
            DataSetError: a line is not a result.
        """
        return results_in(self.path)

    def cut(self, end: int) -> None:
        """Take away what stands behind this many bytes."""
        self._file.truncate(end)

    def add(self, result: ResultLine) -> None:
        """Append a result; it is on disk after the next `flush` at the latest."""
        self.add_lines(encoded([result]))

    def add_lines(self, lines: bytes) -> None:
        """Append whole lines; they are on disk after the next `flush` at the latest."""
        self._held.append(lines)
        self._held_bytes += len(lines)
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
                self._write(b"".join(held))
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

    def replace(self, lines: Iterable[bytes]) -> None:
        """Put these lines in place of all results: whatever ends this leaves either the old or the new.

        Raises:
            DataSetError: they cannot be written.
        """
        temporary = self._temporary
        try:
            file = FileIO(temporary, "w+")
            try:
                lock(file, temporary)
                buffered = BufferedWriter(file, WRITE_BYTES)
                buffered.writelines(lines)
                buffered.flush()
                os.fsync(buffered.detach().fileno())
                temporary.replace(self.path)
            except BaseException:
                file.close()
                temporary.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise DataSetError(
                f"The results cannot be written: {temporary}: {error.strerror}. "
                "The old ones are as they were."
            ) from None
        self._file.close()
        self._file = file

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


def lock(file: FileIO, path: Path) -> None:
    """Hold a results file against other runs, until it is closed.

    Raises:
        DataSetError: another run holds it.
    """
    if sys.platform == "win32":  # no flock there; two runs at once are then the user's care
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise DataSetError(f"Another run is writing to {path}: wait for it, or end it.") from None


_PASSING = ("path", "prices", "sandbox")
"""Settings that may differ: where files are, what judges cost, which walls held."""


def _known_by(key: str, part: Any) -> Any:
    """What of a part of the identity must be the same; of the grader it is everything."""
    if key == "grader" or not isinstance(part, dict):
        return part
    return {name: _known_by(name, value) for name, value in part.items() if name not in _PASSING}
