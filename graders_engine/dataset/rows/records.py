"""What all formats of data sets have in common: a numbered stream of rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import msgspec

from graders_engine.dataset.rows.file_state import State
from graders_engine.dataset.rows.source import Source
from graders_engine.errors import DataSetError
from graders_engine.files import STDIN
from graders_engine.language import strict_json
from graders_engine.urls import Location

MAX_ROW_BYTES = 64 << 20
"""A longer row is an `Unreadable`; it is skipped without being held in memory."""
HEAD_ROWS = 20
"""Rows from which the shape of a data set is detected."""


class RowRef(msgspec.Struct, frozen=True, gc=False):
    """A row, and where it is in its data set.

    Attributes:
        line: number of its line, or of the row in formats without lines, from 1.
        row: its JSON values, or an `Unreadable`.
        end: position after it in the data set, in the unit of `Records.size`; 0 where unknown.
        sample: its number among the samples of a line that has a list of them, from 1; else 0.
        group: shared by the samples of a line that has a list of them: the line's `id`, or else its
            number. None where a line holds one sample.
    """

    line: int
    row: Any
    end: int = 0
    sample: int = 0
    group: str | None = None


class RepeatedKey(NamedTuple):
    """A row that names a key twice in one object.

    Attributes:
        path: the file that it is in.
        line: its number, as in `RowRef`.
        key: the path of the key in the row, such as `item.answer`.
    """

    path: Location
    line: int
    key: str


class Records(ABC):
    """The rows of a data set, read as a stream: memory use does not grow with the data.

    Attributes:
        path: the file; "-" for standard input.
        file: where its bytes are on this machine: of a URL, the copy.
        form: its format, as in `formats.FORMS`, with ".gz" or ".zst" if it is compressed.
        size: the file's bytes, or the rows of a Parquet file; None if unknown.
        head_digest: SHA-256 of the file's first bytes; empty for standard input.
        splittable: whether a line can be found by its byte offset: plain JSONL in a file.
        states: its files as they were when they were opened.
        once: whether the rows can be read only a single time, as from standard input.
        output_keys: the keys under which rows have the model's output, where that is known.
        notes: what to say of how they are read; complete when all rows were read.
    """

    path: Location
    file: Path
    form: str
    size: int | None
    head_digest: str = ""
    splittable: bool = False
    states: tuple[State, ...] = ()
    once: bool = False
    output_keys: Collection[str] = ()
    _unread: Iterator[RowRef] | None = None

    @property
    def notes(self) -> Sequence[str]:  # noqa: D102 - described above
        return ()

    def read(self) -> Iterator[RowRef]:
        """The rows in order, without blank lines.

        Raises:
            DataSetError: the file cannot be read at all, or not a second time. A single row that cannot be
                read is an `Unreadable`.
        """
        if not self.once:
            return self.rows()
        rows, self._unread = self._rest(), _UsedUp()
        return rows

    def head(self, count: int = HEAD_ROWS) -> list[Any]:
        """The first rows; `read` gives them again."""
        if not self.once:
            return [ref.row for ref in islice(self.rows(), count)]
        rows = self._rest()
        first = list(islice(rows, count))
        self._unread = chain(first, rows)
        return [ref.row for ref in first]

    def repeated_keys(self, most: int | None, most_bytes: int) -> Iterator[RepeatedKey]:
        """The rows that name a key twice in one object, of which every reader keeps the last value.

        None is found where rows are no JSON, and where they can be read only a single time.

        Args:
            most: how many of the first rows are looked at; all if None.
            most_bytes: how many bytes of them, if not all; the row with the last one is looked at.
        """
        if self.once:
            return
        for line, text in islice(self.texts(), most):
            if key := strict_json.repeated_key(text):
                yield RepeatedKey(self.path, line, key)
            most_bytes -= len(text)
            if most is not None and most_bytes <= 0:
                return

    def texts(self) -> Iterator[tuple[int, bytes]]:
        """The rows as they are written, with their numbers; none in formats that are no JSON."""
        return iter(())

    def _rest(self) -> Iterator[RowRef]:
        return self.rows() if self._unread is None else self._unread

    @abstractmethod
    def rows(self) -> Iterator[RowRef]:
        """The rows from the first one; callers use `read`, which also works for standard input."""


class StreamedRecords(Records):
    """The rows of a format that is read as a stream of bytes, which may be compressed.

    Args:
        source: where the bytes come from.
    """

    uncompressed_form: ClassVar[str]

    def __init__(self, source: Source) -> None:
        self._source, self.file = source, source.file
        self.path, self.size, self.once = source.path, source.size, source.path == STDIN
        self.head_digest, self.states = source.head_digest, source.states
        self.form = source.form(self.uncompressed_form)


class _UsedUp(Iterator[RowRef]):
    """What a second read of standard input gives."""

    def __next__(self) -> RowRef:
        raise DataSetError("Standard input was already read; it can be read once only.")
