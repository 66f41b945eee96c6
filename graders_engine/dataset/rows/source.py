"""The bytes of a data set, from a file, a URL or standard input, decompressed."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from graders_engine.dataset.rows.file_state import FileState, State
from graders_engine.errors import DataSetError
from graders_engine.files import STDIN, is_open_file, kind_of
from graders_engine.outputs.unreadable import Unreadable
from graders_engine.urls import Location, Url
from graders_engine.version import how_to_install

HEAD_BYTES = 1 << 16
"""Bytes from which the format of a data set is detected."""
_BUFFER_BYTES = 1 << 20
_ZSTD_BYTES = 4096
"""Compressed bytes per step: they expand to at most 32,768 times as many (RFC 8878, RLE blocks)."""
_COMPRESSION = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst"}
"""First bytes (RFC 1952, RFC 8878) -> file name extension."""
_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
"""Byte order marks of the encodings that are refused, longest first."""
_NULS = {"0111": "UTF-32LE", "1110": "UTF-32BE", "0101": "UTF-16LE", "1010": "UTF-16BE"}
"""Which of the first four bytes are NUL in such text without a mark: it begins with ASCII (RFC 4627)."""
_WAYS_ON = {
    "pipe": " To read from a pipe, pass - for standard input.",
    "folder": " Name a file in it; to read several as one, pass them through a pipe: cat FILES | … --data -",
}
"""By what a path is that is no file, what to do."""
DAMAGE = (EOFError, zlib.error, OSError)
"""Raised by compressed data that is truncated or damaged (an OSError then has no `errno`)."""


class Source:
    """Where the bytes come from; the file's name does not matter here.

    Attributes:
        path: the file; "-" for standard input.
        file: where its bytes are on this machine: of a URL, the copy.
        size: bytes of the file, before decompression; None for standard input.
        states: the file as it was when it was opened; none of a pipe.
        reopened: whether its name means the same file to other processes, unlike /dev/stdin.
        compression: "gz", "zst" or "".
        head: the first bytes, decompressed.
        head_digest: SHA-256 of the file's first bytes, the first 128 bits in hexadecimal; empty for
            standard input.

    Raises:
        DataSetError: it cannot be read, or is text in UTF-16 or UTF-32.
    """

    def __init__(self, path: Location) -> None:
        self.path = path
        self.file, self.states = _bytes_of(path)
        self._stdin: BinaryIO | None = sys.stdin.buffer if path == STDIN else None
        with unreadable_disk(path):
            self.size = _size_of(self.file) if self._stdin is None else None
        self.reopened = self._stdin is None and not is_open_file(self.file)
        self.compression, self.head_digest = "", ""
        self.head = self._stdin_head() if self._stdin else self._file_head()
        self.compression = next(
            (ending for magic, ending in _COMPRESSION.items() if self.head.startswith(magic)), ""
        )
        if self.compression:
            # Of compressed standard input, the head would be lost to those who read it afterwards.
            self.head = b"" if self._stdin else self._decompressed_head()
        self._refuse_wide_text()

    def form(self, plain: str) -> str:
        """The name of a format, with the compression."""
        return f"{plain}.{self.compression}" if self.compression else plain

    def _stdin_head(self) -> bytes:
        with self.open() as (stream, _):
            return stream.peek(HEAD_BYTES)[:HEAD_BYTES]

    def _file_head(self) -> bytes:
        with unreadable_disk(self.path), self.file.open("rb", buffering=HEAD_BYTES) as file:
            head = file.read(HEAD_BYTES)
        self.head_digest = hashlib.sha256(head).hexdigest()[:32]
        return head

    def _decompressed_head(self) -> bytes:
        with unreadable_disk(self.path), self.open(HEAD_BYTES) as (stream, _):
            try:
                return stream.peek(HEAD_BYTES)[:HEAD_BYTES]
            except DAMAGE as error:
                damaged(error)
                return b""  # the rows report the damage, with the number of the row

    def _refuse_wide_text(self) -> None:
        nuls = "".join(str(int(byte == 0)) for byte in self.head[:4])
        marked = (name for mark, name in _MARKS.items() if self.head.startswith(mark))
        name = next(marked, _NULS.get(nuls))
        if name is not None:
            raise DataSetError(
                f"The data set {self.path} is {name} text. Save it as UTF-8: "
                f"iconv -f {name} -t UTF-8 < {self.path.name} > utf8-{self.path.name}"
            )

    @contextmanager
    def open(
        self, buffer_bytes: int = _BUFFER_BYTES
    ) -> Iterator[tuple[io.BufferedReader, Callable[[], int]]]:
        """The decompressed bytes, and a function that returns the current position in the file.

        Standard input is read from its current position: bytes can be read from it once only.

        Args:
            buffer_bytes: how much to read ahead.

        Raises:
            DataSetError: the file cannot be opened, or the package for its compression is missing.
        """
        if self._stdin is not None:
            yield self._decompressed(self._stdin, buffer_bytes), lambda: 0
            return
        with unreadable_disk(self.path):
            file = self.file.open("rb", buffering=buffer_bytes)
        with file:
            yield self._decompressed(file, buffer_bytes), file.tell

    def _decompressed(self, file: Any, buffer_bytes: int) -> io.BufferedReader:
        if not self.compression:
            plain: io.BufferedReader = file
            return plain
        read: Callable[[int], bytes]
        if self.compression == "gz":
            read = gzip.GzipFile(fileobj=file, mode="rb").read1
        else:
            read = ZstdReader(file, require_module("zstandard", "zstd", self.path)).read
        return io.BufferedReader(_Decompressed(read), buffer_bytes)


class _Decompressed(io.RawIOBase):
    """A stream over a function that returns some bytes; bytes read before damage are not lost."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class ZstdReader:
    """Decompresses consecutive frames of zstd, in steps of bounded size.

    The package's own stream is not used: it does not report a truncated frame.

    Args:
        file: the compressed bytes.
        zstandard: the package.
    """

    def __init__(self, file: BinaryIO, zstandard: Any) -> None:
        self._file, self._package = file, zstandard
        self._frame: Any = None
        self._compressed = self._ready = b""

    def read(self, size: int) -> bytes:
        """Up to `size` decompressed bytes; empty at the end.

        Raises:
            EOFError: the last frame is truncated, or a frame is damaged.
        """
        while not self._ready:
            self._compressed = self._compressed or self._file.read(_ZSTD_BYTES)
            if self._compressed:
                self._ready = self._decompress_step()
            elif self._frame is not None:
                raise EOFError("the last frame has no end")
            else:
                return b""
        part, self._ready = self._ready[:size], self._ready[size:]
        return part

    def _decompress_step(self) -> bytes:
        """Decompress the bytes at hand, up to the end of the current frame."""
        if self._frame is None:
            self._frame = self._package.ZstdDecompressor().decompressobj()
        try:
            decompressed: bytes = self._frame.decompress(self._compressed)
        except self._package.ZstdError as error:
            raise EOFError(str(error)) from None
        self._compressed = b""
        if self._frame.eof:
            self._compressed, self._frame = self._frame.unused_data, None
        return decompressed


def _bytes_of(path: Location) -> tuple[Path, tuple[State, ...]]:
    """Where the bytes are on this machine, and the state that they are in, where something tells it.

    Raises:
        DataSetError: there are none.
    """
    if isinstance(path, Url):
        from graders_engine.dataset.rows.copies import copy_of

        copy = copy_of(path)
        return copy.file, (copy,)
    with unreadable_disk(path):
        if path != STDIN:
            _require_file(path)
        state = FileState.of(path)
    return path, () if state is None else (state,)


def _size_of(file: Path) -> int | None:
    """The bytes of a file; None of a pipe."""
    found = os.stat(file)
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _require_file(path: Path) -> None:
    kind = kind_of(path)
    if kind or not os.path.exists(path):
        reason = f"it is a {kind}" if kind else "there is no such file"
        raise DataSetError(
            f"The data set cannot be read: {path}: {reason}.{_WAYS_ON.get(kind, '')}"
        )


@contextmanager
def unreadable_disk(path: Location) -> Iterator[None]:
    """Turn an error of the disk into one that names the data set."""
    try:
        yield
    except OSError as error:
        raise DataSetError(f"The data set cannot be read: {path}: {error.strerror}.") from None


def damaged(error: Exception) -> Unreadable:
    """Stands for the rest of a file that cannot be decompressed; a disk error is raised again."""
    if isinstance(error, OSError) and error.errno:
        raise error
    return Unreadable(
        f"The compressed data is cut off or damaged here ({error}); the rest is lost."
    )


def require_module(module: str, what: str, path: Location, purpose: str = "read") -> Any:
    """Import a module of the extra `files`.

    Raises:
        DataSetError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        raise DataSetError(
            f"{path} is {what}: to {purpose} it, {how_to_install('files')}."
        ) from None
