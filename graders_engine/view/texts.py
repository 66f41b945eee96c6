"""The rows of a run's data set, found by the offsets of their lines."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

import numpy as np

from graders_engine.dataset.results.data import open_data_of
from graders_engine.dataset.rows.file_state import FileState, State
from graders_engine.dataset.rows.lines import rows_of
from graders_engine.dataset.rows.read import DataSet
from graders_engine.dataset.rows.records import RowRef
from graders_engine.dataset.rows.shapes import Shape
from graders_engine.dataset.rows.shards import Shard, cut_by_value
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.files import reason_of
from graders_engine.report.row_texts import RowKey, RowText, whole_texts, with_moved
from graders_engine.view import cache

# Scipy takes a while to import, and this is imported by processes that start often.
if TYPE_CHECKING:
    from graders_engine.statistics.estimate import Ints

WAIT_S = 0.5
"""So long an answer waits for a data set that is being prepared; a larger one is said to be."""
_CHECK_S = 1.0
"""So often it is looked at whether data that could not be read can be."""


@dataclass(frozen=True)
class DataRows:
    """A data set of which each line is found by its offset.

    Attributes:
        path: the JSONL file, or the copy of the rows in the cache.
        marked: whether it is such a copy, which has reasons in place of rows that cannot be read.
        starts: the offset of each line, and that of the end.
        starts_path: the file that has these.
        shape: how rows are taken out of a line.
        sample_field: of flat rows.
        states: the files of the data set as they were.
        folder: where what is known of the data set is kept.
    """

    path: Path
    marked: bool
    starts: Ints
    starts_path: Path
    shape: Shape
    sample_field: str | None
    states: tuple[State, ...]
    folder: cache.CacheFolder

    def rows(self, line: int) -> Sequence[RowRef]:
        """The rows to grade of a line.

        Raises:
            DataSetError: there is no such line, or the file cannot be read.
        """
        if not 0 < line < len(self.starts):
            raise DataSetError(f"The data set has no line {line}.")
        with self.path.open("rb", buffering=0) as file:
            return next(self.split(file, line, line), ())

    def split(self, file: io.RawIOBase, first: int, last: int) -> Iterator[Sequence[RowRef]]:
        """The rows to grade of the lines between two of them, the last included; without blank lines."""
        return map(self.shape.split, self.read(file, first, last))

    def read(self, file: io.RawIOBase, first: int, last: int) -> Iterator[RowRef]:
        """The lines between two of them, the last included; without blank lines."""
        start, end = int(self.starts[first - 1]), int(self.starts[last])
        file.seek(start)
        content = _read_exactly(file, end - start)
        if not self.marked:
            yield from rows_of(io.BytesIO(content), lines_before=first - 1, at=start)
            return
        shard = Shard(first, last - first + 1, start, end, rows=content, marked=True)
        with shard.open() as reader:
            yield from reader.rows()


def _read_exactly(file: io.RawIOBase, size: int) -> bytes:
    parts = []
    while size > 0 and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


class RunTexts:
    """The texts of a run's rows. All methods may be called from any thread.

    The data set is opened behind, since that may read all of it: whether it is the one that was graded, where
    its lines are, and of any format but plain JSONL a copy in the cache.

    Args:
        meta: what gave the results.
        results: the results file.
        data: where the data set is now, if it was moved.
        found: called with the rows when they were found, in a thread.
    """

    def __init__(
        self,
        meta: Mapping[str, Any],
        results: Path,
        data: Path | None,
        found: Callable[[DataRows], None] = lambda _: None,
    ) -> None:
        self._meta, self._results, self._data, self._found = meta, results, data, found
        self._lock = Lock()
        self._rows: DataRows | None = None
        self._problem, self._progress = "", ""
        self._checked = 0.0
        self._thread: Thread | None = None
        self._ready = Event()

    def prepare(self) -> None:
        """Open the data set behind, if that has not begun."""
        with self._lock:
            if self._thread is None:
                self._ready.clear()
                self._thread = Thread(target=self._prepare, name="graders-view-data", daemon=True)
                self._thread.start()

    def _prepare(self) -> None:
        try:
            self._rows, self._problem = self._opened(), ""
        except (DataSetError, InvalidRequest) as error:
            self._rows, self._problem = None, str(error) if self._data else with_moved(error)
        except Exception as error:  # noqa: BLE001 - said in place of the texts: those who wait would wait for ever
            self._rows, self._problem = None, f"The data set cannot be read: {reason_of(error)}."
        self._checked = time.monotonic()
        rows = self._rows
        self._ready.set()
        if rows is not None:
            self._found(rows)

    def _opened(self) -> DataRows:
        data_set = open_data_of(self._meta, self._data, results=self._results)
        return rows_by_line(data_set, self._report)

    def _report(self, progress: str) -> None:
        self._progress = progress

    @property
    def problem(self) -> str:
        """A sentence that says why there are no texts; empty if there are."""
        try:
            self.data()
        except DataSetError as error:
            return str(error)
        return ""

    def data(self, wait_s: float = WAIT_S) -> DataRows:
        """The rows.

        Raises:
            DataSetError: it is not there, not the one that was graded, or still being prepared.
        """
        self.prepare()
        if not self._ready.wait(wait_s) or not self._check():
            raise DataSetError(f"The data set is being read: {self._progress or 'it has begun'}.")
        found = self._rows
        if found is None:
            raise DataSetError(self._problem)
        return found

    def wait(self, wait_s: float) -> bool:
        """Whether it is known if there are texts, after waiting at most so long."""
        self.prepare()
        return self._ready.wait(wait_s)

    def _check(self) -> bool:
        """Open the data set again if it has changed, or may have come back; whether that has ended.

        What was copied from a URL is kept: to ask there each time would take too long.
        """
        found, now = self._rows, time.monotonic()
        if found is None and now - self._checked < _CHECK_S:
            return True
        self._checked = now
        if found is None or any(
            state.change() for state in found.states if isinstance(state, FileState)
        ):
            with self._lock:
                self._thread = None
            self.prepare()
            return self._ready.wait(WAIT_S)
        return True

    def row(self, line: int, number: int) -> RowRef:
        """The row of a line and its number among the line's samples, or 0.

        Raises:
            DataSetError: as for `data`, or it has no such row.
        """
        for ref in self.data().rows(line):
            if ref.sample == number:
                return ref
        raise DataSetError(
            f"The data set has no row {line}#{number}." if number else f"Line {line} is blank."
        )

    def texts(self, keys: Sequence[RowKey]) -> list[RowText]:
        """The texts of rows; empty ones for rows that are not there.

        Raises:
            DataSetError: as for `data`.
        """
        data = self.data()
        found: dict[RowKey, RowText] = {}
        try:
            with data.path.open("rb", buffering=0) as file:
                for line in sorted({key.line for key in keys if key.line < len(data.starts)}):
                    for refs in data.split(file, line, line):
                        rows = ((RowKey(ref.line, ref.sample), ref.row) for ref in refs)
                        found.update(whole_texts(rows))
        except OSError as error:
            raise DataSetError(f"The data set cannot be read: {reason_of(error)}.") from None
        return [found.get(key, RowText()) for key in keys]


def rows_by_line(data_set: DataSet, report: Callable[[str], None] = lambda _: None) -> DataRows:
    """Find the lines of a data set; what was found before is taken from the cache.

    Args:
        data_set: the open data set.
        report: called with how far it is, in words.

    Raises:
        DataSetError: it cannot be read.
    """
    records = data_set.records
    stamps = [(str(Path(records.file).absolute()), state.stamp) for state in records.states]
    known_as = [data_set.shape.name, data_set.sample_field, data_set.identity]
    folder = cache.CacheFolder(cache.digest_of("data", cache.LAYOUT, stamps, known_as))
    known = folder.known()
    for made in (known, None):
        if made is None:
            made = _make(data_set, folder, report)
        kept = folder.path / made["folder"]
        path = kept / "rows" if made["marked"] else records.file
        with suppress(OSError, ValueError):
            starts = cache.mapped(kept / "starts", np.int64, made["lines"] + 1)
            if made["marked"] and path.stat().st_size != starts[-1]:
                raise ValueError("the copy is not whole")
            folder.touch()
            return DataRows(
                path,
                made["marked"],
                starts,
                kept / "starts",
                data_set.shape,
                data_set.sample_field,
                records.states,
                folder,
            )
    raise DataSetError("The cache cannot be read: is the disk full?")


def _make(
    data_set: DataSet, folder: cache.CacheFolder, report: Callable[[str], None]
) -> dict[str, Any]:
    records, made = data_set.records, folder.begin()
    try:
        path, marked = records.file, not records.splittable
        if marked:
            path = made / "rows"
            _copy(data_set, path, report)
        size = path.stat().st_size
        found = [np.zeros(1, np.int64)]
        at = 0
        last = b""
        for block in cache.blocks(path, 0, size):
            found.append(np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + (at + 1))
            at, last = at + len(block), block[-1:]
            report(f"{at * 100 // max(size, 1)} % of {size / 1e6:,.0f} MB")
        if last not in (b"", b"\n"):
            found.append(np.array([at]))
        starts = np.concatenate(found).astype(np.int64)
        (made / "starts").write_bytes(starts.tobytes())
        known = {"lines": len(starts) - 1, "marked": marked}
        folder.publish(made, known)
        return {**known, "folder": made.name}
    except BaseException as error:
        folder.drop(made)
        if isinstance(error, OSError):
            raise DataSetError(
                f"The rows cannot be kept in the cache: {made}: {error.strerror}."
            ) from None
        raise


def _copy(data_set: DataSet, path: Path, report: Callable[[str], None]) -> None:
    """Write the rows as lines, each in the line of its number."""
    size = data_set.records.size
    unit = "rows" if data_set.records.form == "parquet" else "bytes"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        for shard in cut_by_value(data_set.records).rest():
            file.write(shard.rows)
            of = f" of {size:,}" if size else ""
            report(f"{shard.end:,}{of} {unit} are copied into the cache, to be found by line")
