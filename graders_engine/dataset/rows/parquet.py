"""Parquet: a table of columns, read in batches."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from graders_engine.dataset.rows.records import Records, RowRef
from graders_engine.dataset.rows.source import Source, require_module
from graders_engine.errors import DataSetError
from graders_engine.files import STDIN
from graders_engine.language import strict_json
from graders_engine.outputs.unreadable import Unreadable

_BATCH_BYTES = 8 << 20
"""Size of a batch, estimated from the file's metadata."""
_BATCH_ROWS = 4096
_READ_BYTES = 1 << 20
"""Bytes read ahead of each column; by default, the whole column of a row group would be held in memory."""
_ODD = re.compile("float|double|binary")
"""Types in the names of columns' types that have values which JSON cannot express."""
_MEDIA = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"ID3", b"\xff\xfb", b"OggS", b"fLaC")
"""How images and recordings begin: no text is meant by their bytes."""


class ParquetTable(Records):
    """The rows of a Parquet file, numbered from 1.

    Values that JSON cannot express become text: dates and times as ISO 8601, decimals as digits, bytes as the
    UTF-8 text that they are, those of images and recordings as base64. A row with other bytes is unreadable.

    Args:
        source: where the bytes come from.

    Raises:
        DataSetError: it is standard input or not Parquet, or the extra `files` is missing.
    """

    form = "parquet"

    def __init__(self, source: Source) -> None:
        self.path, self.file, self.head_digest = source.path, source.file, source.head_digest
        self.states = source.states
        if self.path == STDIN:
            raise DataSetError("Parquet cannot be read from standard input: save it to a file.")
        self._arrow = require_module("pyarrow", "Parquet", self.path)
        self._parquet = require_module("pyarrow.parquet", "Parquet", self.path)
        with self._open() as file:
            self.size = file.metadata.num_rows
            names = file.schema_arrow.names
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise DataSetError(f"{self.path} has the column '{twice}' twice.")

    def _open(self) -> Any:
        try:
            return self._parquet.ParquetFile(self.file, pre_buffer=False, buffer_size=_READ_BYTES)
        except (self._arrow.ArrowException, OSError) as error:
            raise DataSetError(
                f"{self.path} cannot be read as Parquet: {_sentence(error)} "
                "A Parquet file has its metadata at the end, so a truncated file cannot be read."
            ) from None

    def rows(self) -> Iterator[RowRef]:
        """The rows from the first one."""
        with self._open() as file:
            number = 0
            for group in range(file.num_row_groups):
                yield from self._group_rows(file, group, number)
                number += file.metadata.row_group(group).num_rows

    def _group_rows(self, file: Any, group: int, number: int) -> Iterator[RowRef]:
        """The rows of one row group; after damage the rest of the group is lost, not the other groups."""
        meta = file.metadata.row_group(group)
        last = number + meta.num_rows
        per_row = meta.total_byte_size // max(meta.num_rows, 1) + 1
        batch_rows = min(max(_BATCH_BYTES // per_row, 1), _BATCH_ROWS)
        try:
            for batch in file.iter_batches(batch_rows, row_groups=[group]):
                # Of a nested type, its text names the types inside, too.
                odd = {kind for name in batch.schema.types for kind in _ODD.findall(str(name))}
                for row in batch.to_pylist():
                    number += 1
                    yield RowRef(number, _json_values(row, odd), number)
        except (self._arrow.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = f"The rows {number + 1} to {last} cannot be read: {_sentence(error)}"
            yield RowRef(number + 1, Unreadable(reason), last)


def _json_values(row: dict[str, Any], odd: Collection[str]) -> Any:
    """The row as JSON values, given which of the `_ODD` types it may have."""
    try:
        values = msgspec.to_builtins(row, builtin_types=(bytes,))
        if "binary" in odd or (odd and not strict_json.is_finite(values)):
            return {key: _plain(value, key) for key, value in values.items()}
        return values
    except _NotText as error:
        return Unreadable(str(error))
    except (TypeError, ValueError, RecursionError) as error:
        return Unreadable(f"The row has a value that JSON cannot express: {error}.")


class _NotText(Exception):
    """Raised for bytes that are no text."""


def _plain(value: Any, column: str) -> Any:
    """The value with null for NaN, as which tables often keep what is missing, and with text for bytes.

    Raises:
        ValueError: a number is infinite.
        _NotText: bytes are neither UTF-8 nor an image or a recording.
    """
    if isinstance(value, dict):
        return {key: _plain(part, column) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part, column) for part in value]
    if isinstance(value, bytes):
        return _text_of(value, column)
    if isinstance(value, float) and math.isinf(value):
        raise ValueError("Infinity")
    return None if value != value else value


def _text_of(value: bytes, column: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        if value.startswith(_MEDIA):
            return base64.b64encode(value).decode()
        raise _NotText(
            f"The column `{column}` has bytes that are not UTF-8 text: 0x{value[error.start]:02x} at byte "
            f"{error.start}. Write it as text, or leave the column out."
        ) from None


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") + "."
