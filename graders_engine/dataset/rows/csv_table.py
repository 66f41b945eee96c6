"""CSV: the header row names the fields; every value is text."""

from __future__ import annotations

import csv
import functools
import io
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import IO, Any

from graders_engine.dataset.rows.lines import SAVE_AS_UTF_8
from graders_engine.dataset.rows.records import MAX_ROW_BYTES, RowRef, StreamedRecords
from graders_engine.dataset.rows.source import DAMAGE, damaged, unreadable_disk
from graders_engine.errors import DataSetError
from graders_engine.outputs.unreadable import Unreadable
from graders_engine.urls import Location

# A process-wide limit, 131,072 by default; model outputs are often longer. It is raised once, here, and stays
# raised: with several threads that read tables, one that restored it would break the others' rows.
csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW_BYTES))


_DELIMITERS = {";": "`;`", "\t": "a tab", "|": "`|`"}
"""What tables are also separated by, and how it is called."""
_NAN = ("NaN", "nan")


class CsvTable(StreamedRecords):
    """The rows of a CSV table (RFC 4180: commas, double quotes), numbered by their first line.

    Every value is the text of its cell: an empty cell is an empty string, `1.50` stays `1.50`. Templates can
    still access the parts of a cell that holds JSON. Rows of empty cells at the end, as spreadsheets
    write them, are left out.

    Args:
        source: where the bytes come from.
    """

    uncompressed_form = "csv"
    _read: Table | None = None

    @property
    def notes(self) -> Sequence[str]:  # noqa: D102 - described above
        return [] if self._read is None else list(self._read.notes(self.path, self.output_keys))

    def rows(self) -> Iterator[RowRef]:
        """The rows from the first one."""
        with unreadable_disk(self.path), self._source.open() as (stream, tell):
            table = Table(stream)
            try:
                fields = table.header(self.path.name)
                for line, row in table.rows(fields):
                    yield RowRef(line, row, tell())
            except DAMAGE as error:
                yield RowRef(table.line + 1, damaged(error), tell())
            self._read = table


class Table:
    """The cells of a stream.

    Args:
        stream: the decompressed bytes.

    Attributes:
        line: how many lines have been read.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        # Bytes that are not UTF-8 become lone surrogates, so that they affect only their own row.
        self._text = io.TextIOWrapper(
            stream, encoding="utf-8-sig", errors="surrogateescape", newline=""
        )
        self.line = 0
        self._too_long = 0
        self._header_line = ""
        self._cells = csv.reader(self._read_lines(), strict=True)
        self._left_out = 0
        self._nan: Counter[str] = Counter()

    def notes(self, path: Location, output_keys: Collection[str]) -> Iterator[str]:
        """What to say of the rows that were read.

        Args:
            path: of the table.
            output_keys: the fields with outputs.
        """
        if self._left_out:
            rows = "1 row" if self._left_out == 1 else f"{self._left_out:,} rows"
            yield f"{rows} at the end of {path}, with empty cells alone, left out"
        for field in filter(self._nan.get, output_keys):
            number = self._nan[field]
            rows = "1 row" if number == 1 else f"{number:,} rows"
            yield (
                f"the output is the text NaN or nan in {rows} of {path} (`{field}`), which is graded as any "
                "text; pandas writes it for a missing value"
            )

    def _read_lines(self) -> Iterator[str]:
        readline = functools.partial(self._text.readline, MAX_ROW_BYTES)
        for line in iter(readline, ""):
            self.line += 1
            self._header_line = self._header_line or line.strip()
            if len(line) == MAX_ROW_BYTES and not line.endswith(("\n", "\r")):
                self._too_long = self.line
                for rest in iter(readline, ""):
                    if rest.endswith(("\n", "\r")):
                        break
            yield line

    def header(self, name: str) -> list[str]:
        """The names of the fields; an empty list if the table is empty.

        Args:
            name: the file's name, for the error.

        Raises:
            DataSetError: two names are equal, the cells are not separated by commas, or the header cannot be
                read.
        """
        try:
            fields = next((cells for cells in self._cells if cells), [])
        except csv.Error as error:
            _require_commas(name, self._header_line)
            raise DataSetError(f"The header row of {name} cannot be read: {error}.") from None
        if len(fields) == 1:
            _require_commas(name, fields[0])
        twice = next((field for field in fields if fields.count(field) > 1), None)
        if twice is not None:
            raise DataSetError(f"The header row of {name} has the field '{twice}' twice.")
        return fields

    def rows(self, fields: list[str]) -> Iterator[tuple[int, dict[str, str] | Unreadable]]:
        """Line and row; a row without exactly one cell for each field is unreadable."""
        empty: list[int] = []
        while True:
            first = self.line + 1
            try:
                cells = next(self._cells, None)
            except csv.Error as error:
                yield first, Unreadable(f"The row is not CSV: {error}.")
                continue
            if cells is None:
                self._left_out = len(empty)
                return
            if self._too_long >= first:
                row: Any = Unreadable(f"The row is longer than {MAX_ROW_BYTES} characters.")
            elif any(cells) or len(cells) == 1:
                row = _named_cells(fields, cells)
            else:
                empty.extend([first] if cells else [])
                continue
            if empty:
                yield from ((line, Unreadable("The row has only empty cells.")) for line in empty)
                empty = []
            if "NaN" in cells or "nan" in cells:
                self._nan.update(f for f, cell in zip(fields, cells, strict=False) if cell in _NAN)
            yield first, row


def _require_commas(name: str, header: str) -> None:
    """Check that a header without a comma is not one with another delimiter.

    Raises:
        DataSetError: it probably is.
    """
    other = next(filter(header.__contains__, _DELIMITERS), "")
    if other and "," not in header:
        names = ", ".join(field.strip(' "') for field in header.split(other))
        raise DataSetError(
            f"The header row of {name} has no comma: the delimiter seems to be {_DELIMITERS[other]} "
            f"({names}). Save the table with commas."
        )


def _named_cells(fields: list[str], cells: list[str]) -> dict[str, str] | Unreadable:
    if len(cells) != len(fields):
        return Unreadable(f"The row has {len(cells)} cells, but the header names {len(fields)}.")
    try:
        "".join(cells).encode()
    except UnicodeEncodeError as error:
        byte = ord(error.object[error.start]) - 0xDC00
        return Unreadable(f"The row is not UTF-8: it has the byte 0x{byte:02x}. {SAVE_AS_UTF_8}")
    return dict(zip(fields, cells, strict=True))
