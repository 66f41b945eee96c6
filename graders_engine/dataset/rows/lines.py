"""JSONL: one row a line."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator
from typing import Any

from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows.records import MAX_ROW_BYTES, Record, Records
from graders_engine.dataset.rows.source import DAMAGE, STDIN, Source, damaged, unreadable_disk
from graders_engine.language import strict_json

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class JsonLines(Records):
    """The rows of JSONL; of a key that stands twice in an object the last value counts.

    Args:
        source: where the bytes come from.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.path, self.size, self.once = source.path, source.size, source.path == STDIN
        self.form = source.form("jsonl")
        self.splittable = self.form == "jsonl" and not self.once

    def _rows(self, after_line: int) -> Iterator[Record]:
        with self._source.open() as (stream, tell):
            rows = rows_of(stream, after_line=after_line)
            if self._source.compression:
                rows = ((number, tell(), row) for number, _, row in rows)
            with unreadable_disk(self.path):
                yield from rows


def rows_of(
    stream: io.BufferedIOBase, *, after_line: int = 0, lines_before: int = 0, at: int = 0
) -> Iterator[Record]:
    """The rows of a stream of lines, from where it stands.

    Args:
        stream: what to read.
        after_line: number of the last line to leave out; it is not even parsed.
        lines_before: the lines that stand before the stream's place.
        at: the bytes that do.
    """
    number = lines_before
    decode = strict_json.decode
    try:
        for number, line in enumerate(
            iter(functools.partial(stream.readline, MAX_ROW_BYTES + 1), b""), lines_before + 1
        ):
            at += len(line)
            if len(line) > MAX_ROW_BYTES and not line.endswith(b"\n"):
                at += _skip_line(stream)
                row: Any = Unreadable(f"The line is longer than {MAX_ROW_BYTES} bytes.")
            elif number <= after_line:
                continue
            else:
                try:
                    row = decode(line)
                except ValueError as error:
                    if not line.removeprefix(BYTE_ORDER_MARK).strip():
                        continue
                    row = Unreadable(why_not_json(error))
            if number > after_line:
                yield number, at, row
    except DAMAGE as error:
        if number >= after_line:
            yield number + 1, at, damaged(error)


def _skip_line(stream: io.BufferedIOBase) -> int:
    """Pass over the rest of a line; returns its bytes."""
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
        return f"The {what} is not UTF-8: byte 0x{byte:02x} at its byte {error.start}."
    return f"The {what} is not JSON: {error}."
