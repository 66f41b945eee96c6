"""CSV: the header row names the fields, and every value is text."""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Iterator
from typing import IO

from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows.records import MAX_ROW_BYTES, Record, Records
from graders_engine.dataset.rows.source import DAMAGE, STDIN, Source, damaged, unreadable_disk
from graders_engine.errors import DataSetError


class CsvTable(Records):
    """The rows of a CSV table (RFC 4180: commas, double quotes), numbered by the line they begin on.

    Every value is the text of its cell: an empty cell is an empty text, `1.50` stays `1.50`. Templates step
    into a cell that holds JSON all the same.

    Args:
        source: where the bytes come from.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.path, self.size, self.once = source.path, source.size, source.path == STDIN
        self.form = source.form("csv")

    def _rows(self, after_line: int) -> Iterator[Record]:
        # A process-wide setting; a model's output is often longer than its default of 131,072.
        csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW_BYTES))
        with unreadable_disk(self.path), self._source.open() as (stream, tell):
            table = _Table(stream)
            try:
                fields = table.header(self.path.name)
                for number, row in table.rows(fields):
                    if number > after_line:
                        yield number, tell(), row
            except DAMAGE as error:
                if table.line >= after_line:
                    yield table.line + 1, tell(), damaged(error)


class _Table:
    """Cells of a stream.

    Attributes:
        line: lines that were read.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        # Bytes that are no UTF-8 become lone surrogates, so that they spoil their own row only.
        self._text = io.TextIOWrapper(
            stream, encoding="utf-8-sig", errors="surrogateescape", newline=""
        )
        self.line = 0
        self._too_long = 0
        self._cells = csv.reader(self._lines(), strict=True)

    def _lines(self) -> Iterator[str]:
        readline = functools.partial(self._text.readline, MAX_ROW_BYTES)
        for line in iter(readline, ""):
            self.line += 1
            if len(line) == MAX_ROW_BYTES and not line.endswith(("\n", "\r")):
                self._too_long = self.line
                for rest in iter(readline, ""):
                    if rest.endswith(("\n", "\r")):
                        break
            yield line

    def header(self, name: str) -> list[str]:
        """The names of the fields; none where the table is empty.

        Raises:
            DataSetError: two are the same, or there is no header that can be read.
        """
        try:
            fields = next((cells for cells in self._cells if cells), [])
        except csv.Error as error:
            raise DataSetError(f"The header row of {name} cannot be read: {error}.") from None
        twice = next((field for field in fields if fields.count(field) > 1), None)
        if twice is not None:
            raise DataSetError(f"The header row of {name} has the field '{twice}' twice.")
        return fields

    def rows(self, fields: list[str]) -> Iterator[tuple[int, dict[str, str] | Unreadable]]:
        """Line and row; a row that is not one cell for each field is unreadable."""
        while True:
            first = self.line + 1
            try:
                cells = next(self._cells, None)
            except csv.Error as error:
                yield first, Unreadable(f"The row is not CSV: {error}.")
                continue
            if cells is None:
                return
            if self._too_long >= first:
                yield first, Unreadable(f"The row is longer than {MAX_ROW_BYTES} characters.")
            elif cells:
                yield first, _row(fields, cells)


def _row(fields: list[str], cells: list[str]) -> dict[str, str] | Unreadable:
    if len(cells) != len(fields):
        return Unreadable(f"The row has {len(cells)} cells, but the header names {len(fields)}.")
    try:
        "".join(cells).encode()
    except UnicodeEncodeError as error:
        byte = ord(error.object[error.start]) - 0xDC00
        return Unreadable(f"The row is not UTF-8: it has the byte 0x{byte:02x}.")
    return dict(zip(fields, cells, strict=True))
