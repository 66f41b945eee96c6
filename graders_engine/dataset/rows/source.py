"""The bytes of a data set, from a file or from standard input, decompressed on the way."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from graders_engine.compiled import Unreadable
from graders_engine.errors import DataSetError

STDIN = Path("-")
"""Stands for standard input."""
HEAD_BYTES = 1 << 16
"""Bytes that are looked at to tell the form of a data set."""
_BUFFER_BYTES = 1 << 20
_ZSTD_BYTES = 4096
"""Packed bytes that are unpacked at once: at most 32,768 times as many come out (RFC 8878, RLE blocks)."""
_COMPRESSION = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst"}
"""First bytes (RFC 1952, RFC 8878) -> the ending that a name has."""
_MARKS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
"""Byte order marks of the encodings that are refused; the longer ones first."""
_NULS = {"0111": "UTF-32LE", "1110": "UTF-32BE", "0101": "UTF-16LE", "1010": "UTF-16BE"}
"""Which of the first four bytes are NUL in such text without a mark, as it begins with ASCII (RFC 4627)."""
DAMAGE = (EOFError, zlib.error, OSError)
"""What reading compressed data raises when it is cut off or damaged (an OSError then has no `errno`)."""


class Source:
    """Where the bytes come from; the name decides nothing here.

    Attributes:
        path: the file; "-" for standard input.
        size: bytes of the file, compressed as they are; None for what is not a regular file.
        compression: "gz", "zst" or "".
        head: the first bytes, decompressed.

    Raises:
        DataSetError: it cannot be read, or is text in UTF-16 or UTF-32.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stdin: BinaryIO | None = sys.stdin.buffer if path == STDIN else None
        with unreadable_disk(path):
            regular = self._stdin is None and path.is_file()
            self.size = path.stat().st_size if regular else None
        if self._stdin is None and not regular:
            reason = "it is a folder" if path.is_dir() else "there is no such file"
            raise DataSetError(
                f"The data set cannot be read: {path}: {reason}. "
                "Data from a pipe is read from standard input, named '-'."
            )
        self.compression = ""
        self.head = self._first()
        for magic, ending in _COMPRESSION.items():
            if self.head.startswith(magic):
                self.compression = ending
                # Compressed standard input cannot be looked into twice.
                self.head = b"" if self._stdin else self._first()
                break
        self._refuse_wide_text()

    def form(self, plain: str) -> str:
        """The name of a form, with the compression."""
        return f"{plain}.{self.compression}" if self.compression else plain

    def _first(self) -> bytes:
        with unreadable_disk(self.path), self.open() as (stream, _):
            try:
                return stream.peek(HEAD_BYTES)[:HEAD_BYTES]
            except DAMAGE as error:
                damaged(error)
                return b""  # reading says it, with the row's number

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
    def open(self) -> Iterator[tuple[io.BufferedReader, Callable[[], int]]]:
        """The decompressed bytes, and a function that tells how far the file was read.

        Standard input is given as it stands: what was read of it is gone.

        Raises:
            DataSetError: the file cannot be opened, or the package for its compression is missing.
        """
        if self._stdin is not None:
            yield self._decompressed(self._stdin), lambda: 0
            return
        with unreadable_disk(self.path):
            file = self.path.open("rb", buffering=_BUFFER_BYTES)
        with file:
            yield self._decompressed(file), file.tell

    def _decompressed(self, file: Any) -> io.BufferedReader:
        if not self.compression:
            plain: io.BufferedReader = file
            return plain
        read: Callable[[int], bytes]
        if self.compression == "gz":
            read = gzip.GzipFile(fileobj=file, mode="rb").read1
        else:
            read = _Zstd(file, needed("zstandard", "zstd", self.path)).read
        return io.BufferedReader(_Decompressed(read), _BUFFER_BYTES)


class _Decompressed(io.RawIOBase):
    """A stream over a function that gives some bytes, so that what was read before damage is not lost."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Zstd:
    """Frames of zstd, one after the other.

    The package's own stream is not used: it ends without a word where a frame is cut off.
    """

    def __init__(self, file: BinaryIO, zstandard: Any) -> None:
        self._file, self._package = file, zstandard
        self._frame: Any = None
        self._packed = self._ready = b""

    def read(self, size: int) -> bytes:
        while not self._ready:
            self._packed = self._packed or self._file.read(_ZSTD_BYTES)
            if self._packed:
                self._ready = self._unpacked()
            elif self._frame is not None:
                raise EOFError("the last frame has no end")
            else:
                return b""
        given, self._ready = self._ready[:size], self._ready[size:]
        return given

    def _unpacked(self) -> bytes:
        """What the packed bytes, or those of them that belong to one frame, hold."""
        if self._frame is None:
            self._frame = self._package.ZstdDecompressor().decompressobj()
        try:
            unpacked: bytes = self._frame.decompress(self._packed)
        except self._package.ZstdError as error:
            raise EOFError(str(error)) from None
        self._packed = b""
        if self._frame.eof:
            self._packed, self._frame = self._frame.unused_data, None
        return unpacked


@contextmanager
def unreadable_disk(path: Path) -> Iterator[None]:
    """Give an error of the disk the data set's name."""
    try:
        yield
    except OSError as error:
        raise DataSetError(f"The data set cannot be read: {path}: {error.strerror}.") from None


def damaged(error: Exception) -> Unreadable:
    """Stands for the rest of a file that cannot be decompressed; an error of the disk is raised again."""
    if isinstance(error, OSError) and error.errno:
        raise error
    return Unreadable(
        f"The compressed data is cut off or damaged here ({error}); what stood behind it is lost."
    )


def needed(module: str, what: str, path: Path) -> Any:
    """A module of the extra `files`.

    Raises:
        DataSetError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        raise DataSetError(
            f"{path} is {what}; to read it: pip install 'graders-engine[files]'"
        ) from None
