"""JSONL in: one row a line, read as a stream."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graders_engine.compiled import Unreadable
from graders_engine.errors import DataSetError
from graders_engine.language import strict_json

_BUFFER_BYTES = 1 << 20
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class JsonlRows:
    """The rows of a JSONL file; blank lines are none.

    Attributes:
        path: the file.
        size: its bytes.
        digest: BLAKE2b of them, the first 128 bits in hexadecimal.

    Raises:
        DataSetError: there is no such file, or it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if path.exists() and not path.is_file():
                raise DataSetError(
                    f"The data set {path} is not a file: a run can only go on where it stopped if the rows "
                    "can be read again. Save them to a file first."
                )
            self.size = path.stat().st_size
            with path.open("rb") as file:
                self.digest = hashlib.file_digest(file, "blake2b").hexdigest()[:32]
        except OSError as error:
            raise DataSetError(f"The data set cannot be read: {path}: {error.strerror}.") from None

    def read(self, after_line: int = 0) -> Iterator[tuple[int, int, Any]]:
        """(line number from 1, bytes read so far, row); a line that is no JSON gives an `Unreadable`."""
        at = 0
        with self.path.open("rb", buffering=_BUFFER_BYTES) as file:
            for number, line in enumerate(file, 1):
                at += len(line)
                if number <= after_line:
                    continue
                if number == 1:
                    line = line.removeprefix(_BYTE_ORDER_MARK)
                try:
                    yield number, at, strict_json.decode(line)
                except ValueError as error:
                    if line.strip():
                        yield number, at, Unreadable(f"The line is not JSON: {error}.")
