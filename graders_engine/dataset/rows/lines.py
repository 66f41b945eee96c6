"""JSONL: one row a line."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator
from itertools import islice
from typing import Any

from graders_engine.dataset.rows.records import HEAD_ROWS, MAX_ROW_BYTES, RowRef, StreamedRecords
from graders_engine.dataset.rows.source import (
    DAMAGE,
    HEAD_BYTES,
    Source,
    damaged,
    unreadable_disk,
)
from graders_engine.language import strict_json
from graders_engine.outputs.unreadable import Unreadable

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SAVE_AS_UTF_8 = "Save the file as UTF-8: iconv -f ENCODING -t UTF-8, with such as CP1252 or GBK."


class JsonLines(StreamedRecords):
    """The rows of JSONL; the last value counts for a key that is repeated in an object.

    Args:
        source: where the bytes come from.
    """

    uncompressed_form = "jsonl"

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.splittable = self.form == "jsonl" and source.reopened

    def head(self, count: int = HEAD_ROWS) -> list[Any]:
        """The first rows; no more of the file is read than they need."""
        if self.once:
            return super().head(count)
        with unreadable_disk(self.path), self._source.open(HEAD_BYTES) as (stream, _):
            return [ref.row for ref in islice(rows_of(stream), count)]

    def texts(self) -> Iterator[tuple[int, bytes]]:  # noqa: D102 - as in `Records`
        with unreadable_disk(self.path), self._source.open() as (stream, _):
            lines = iter(functools.partial(stream.readline, MAX_ROW_BYTES + 1), b"")
            try:
                for number, text in enumerate(lines, 1):
                    if len(text) > MAX_ROW_BYTES and not text.endswith(b"\n"):
                        _skip_line(stream)
                    elif not text.isspace():
                        yield number, text
            except DAMAGE as error:
                damaged(error)  # which raises a fault of the disk again

    def rows(self) -> Iterator[RowRef]:
        """The rows from the first one."""
        with self._source.open() as (stream, tell):
            rows = rows_of(stream)
            if self._source.compression:
                rows = (RowRef(ref.line, ref.row, tell()) for ref in rows)
            with unreadable_disk(self.path):
                yield from rows


def rows_of(
    stream: io.BufferedIOBase, *, lines_before: int = 0, at: int = 0, lines: int | None = None
) -> Iterator[RowRef]:
    """The rows of a stream of lines, from its current position.

    Args:
        stream: what to read.
        lines_before: lines of the data set before that position.
        at: bytes of the data set before it.
        lines: how many lines to read; all if None.
    """
    number = lines_before
    decode = strict_json.decode
    texts = iter(functools.partial(stream.readline, MAX_ROW_BYTES + 1), b"")
    try:
        for number, text in enumerate(islice(texts, lines), lines_before + 1):
            at += len(text)
            if len(text) > MAX_ROW_BYTES and not text.endswith(b"\n"):
                at += _skip_line(stream)
                row: Any = Unreadable(f"The line is longer than {MAX_ROW_BYTES} bytes.")
            else:
                try:
                    row = decode(text)
                except ValueError as error:
                    if not text.removeprefix(BYTE_ORDER_MARK).strip():
                        continue
                    row = Unreadable(why_not_json(error))
            yield RowRef(number, row, at)
    except DAMAGE as error:
        yield RowRef(number + 1, damaged(error), at)


def _skip_line(stream: io.BufferedIOBase) -> int:
    """Skip the rest of a line; returns its bytes."""
    skipped = 0
    for part in iter(functools.partial(stream.readline, 1 << 20), b""):
        skipped += len(part)
        if part.endswith(b"\n"):
            break
    return skipped


def why_not_json(error: ValueError, what: str = "line") -> str:
    """A sentence for a text that `strict_json` refused."""
    if isinstance(error, UnicodeDecodeError):
        if error.encoding != "utf-8":  # what the standard library takes NUL bytes for
            return f"The {what} is not JSON: it has NUL bytes."
        byte = error.object[error.start]
        return (
            f"The {what} is not UTF-8: byte 0x{byte:02x} at its byte {error.start}. {SAVE_AS_UTF_8}"
        )
    return f"The {what} is not JSON: {strict_json.explained(error)}."
