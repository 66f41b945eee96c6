"""What every form of data set looks like to those who read it: a numbered stream of rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from graders_engine.errors import DataSetError

Record = tuple[int, int, Any]
"""Line or row number from 1, position behind it in the unit of `size`, the row or an `Unreadable`."""

MAX_ROW_BYTES = 64 << 20
"""A row that is longer than this is an `Unreadable`; it is passed over without being held."""
HEAD_ROWS = 20
"""Rows that are looked at to tell the shape of a data set."""


class Records(ABC):
    """The rows of a data set, read as a stream; what memory they take does not grow with the data.

    Attributes:
        path: the file; "-" for standard input.
        form: its form, as `formats.FORMS` spells it, with ".gz" or ".zst" where it is compressed.
        size: the file's bytes, or the rows of a Parquet file; None where nobody knows.
        splittable: whether a line can be found by its bytes: plain JSONL in a file.
        once: whether the rows can be read a single time only, as from standard input.
    """

    path: Path
    form: str
    size: int | None
    splittable: bool = False
    once: bool = False
    _waiting: Iterator[Record] | None = None

    def read(self, after_line: int = 0) -> Iterator[Record]:
        """The rows behind a line, in order; blank lines are none.

        Args:
            after_line: number of the last line, or row, to leave out.

        Raises:
            DataSetError: the file cannot be read at all, or a second time; what a single row is to
                blame for is an `Unreadable` in its place.
        """
        if not self.once:
            return self._rows(after_line)
        rows, self._waiting = self._stream(), _used_up()
        return (record for record in rows if record[0] > after_line)

    def head(self, count: int = HEAD_ROWS) -> list[Any]:
        """The first rows; `read` gives them again."""
        if not self.once:
            return [row for _, _, row in islice(self._rows(0), count)]
        rows = self._stream()
        first = list(islice(rows, count))
        self._waiting = chain(first, rows)
        return [row for _, _, row in first]

    def _stream(self) -> Iterator[Record]:
        return self._rows(0) if self._waiting is None else self._waiting

    @abstractmethod
    def _rows(self, after_line: int) -> Iterator[Record]:
        """What `read` gives."""


def _used_up() -> Iterator[Record]:
    raise DataSetError("Standard input was read already: it can be read once.")
    yield
