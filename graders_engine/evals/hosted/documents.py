"""Read consecutive JSON texts, each over several lines, without the whole file in memory."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO, Any, NoReturn

from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows.lines import SAVE_AS_UTF_8

_CHUNK_BYTES = 1 << 20
_BLANKS = re.compile(r"\s*")


def documents(stream: IO[bytes]) -> Iterator[tuple[int, Any]]:
    """(line, value) of each text; after a broken one, no further ones can be found.

    Only the text that is read, and about a chunk after it, is in memory. A broken one is known as such at the
    end of the file.
    """
    text = _Text(stream)
    while text.skip_blanks():
        try:
            value = text.next_value()
        except RecursionError:
            yield text.line, Unreadable("The text is not JSON: it nests too deep.")
            return
        except UnicodeDecodeError as error:
            yield text.line, Unreadable(error.reason)
            return
        except ValueError as error:
            yield text.line, Unreadable(f"The text is not JSON: {error}.")
            return
        yield text.line, value
        text.advance()
    if text.broken is not None:
        yield text.line, Unreadable(text.broken.reason)


def _reject_constant(literal: str) -> NoReturn:
    raise ValueError(f"{literal} is no JSON value")


class _Text:
    """A part of a file's text, and the place in it.

    Attributes:
        line: number of the line of the place, from 1.
        broken: what ends the text before the file does.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self.line = 1
        self.broken: UnicodeDecodeError | None = None
        self._stream, self._read = stream, 0
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._json = json.JSONDecoder(parse_constant=_reject_constant)
        self._text, self._at, self._end = "", 0, 0
        self._whole = False

    def _fill(self) -> None:
        """Read on, as much as is there already, so that a long text is not tried too often."""
        self._text = self._text[self._at :]
        self._at = 0
        chunk = self._stream.read(max(_CHUNK_BYTES, len(self._text)))
        self._read += len(chunk)
        self._whole = not chunk
        try:
            self._text += self._decode(chunk, final=self._whole)
        except UnicodeDecodeError as error:
            at = self._read - len(error.object) + error.start
            reason = (
                f"The text is not UTF-8: byte 0x{error.object[error.start]:02x} at its byte {at}. "
            )
            error.reason = reason + SAVE_AS_UTF_8
            self._text += error.object[: error.start].decode()
            self.broken, self._whole = error, True

    def skip_blanks(self) -> bool:
        """Go to the next text; False if there is none."""
        while True:
            match = _BLANKS.match(self._text, self._at)
            end = match.end() if match else self._at
            self.line += self._text.count("\n", self._at, end)
            self._at = end
            if self._at < len(self._text):
                return True
            if self._whole:
                return False
            self._fill()

    def next_value(self) -> Any:
        """The value of the text at the place.

        Raises:
            UnicodeDecodeError: the file has no more text, as it is not UTF-8.
            ValueError: it is not JSON.
            RecursionError: it nests too deep.
        """
        while True:
            try:
                value, self._end = self._json.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if self._whole:
                    if self.broken is not None:
                        raise self.broken from None
                    raise
            else:
                # A number at the end may have more digits.
                if self._whole or self._end < len(self._text):
                    return value
            self._fill()

    def advance(self) -> None:
        """Go behind the text that was read."""
        self.line += self._text.count("\n", self._at, self._end)
        self._at = self._end
