"""JSON: one array whose elements are the rows, read element by element."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from graders_engine.dataset.rows.lines import BYTE_ORDER_MARK, why_not_json
from graders_engine.dataset.rows.records import MAX_ROW_BYTES, RowRef, StreamedRecords
from graders_engine.dataset.rows.source import DAMAGE, damaged, unreadable_disk
from graders_engine.language import strict_json
from graders_engine.outputs.unreadable import Unreadable

_CHUNK_BYTES = 1 << 16
_OPEN_STRING = re.compile(rb'"[^"\\]*+(?>(?:\\.[^"\\]*+)*)', re.DOTALL)
_TOKEN = re.compile(_OPEN_STRING.pattern + rb'"|["\[\]{},]', re.DOTALL)
"""A whole string, or a character with a meaning outside strings; a lone quote opens an unfinished string."""


class JsonArray(StreamedRecords):
    """The elements of one JSON array, numbered from 1; the last value counts for a key that is repeated.

    Args:
        source: where the bytes come from.
    """

    uncompressed_form = "json"

    def texts(self) -> Iterator[tuple[int, bytes]]:  # noqa: D102 - as in `Records`
        with unreadable_disk(self.path), self._source.open() as (stream, _):
            try:
                for number, element in enumerate(elements(stream), 1):
                    if isinstance(element, bytes):
                        yield number, element
            except DAMAGE as error:
                damaged(error)  # which raises a fault of the disk again

    def rows(self) -> Iterator[RowRef]:
        """The elements from the first one."""
        number = 0
        with unreadable_disk(self.path), self._source.open() as (stream, tell):
            try:
                for number, element in enumerate(elements(stream), 1):
                    row = element if isinstance(element, Unreadable) else _parse_element(element)
                    yield RowRef(number, row, tell())
            except DAMAGE as error:
                yield RowRef(number + 1, damaged(error), tell())


def _parse_element(element: bytes) -> object:
    try:
        return strict_json.decode(element)
    except ValueError as error:
        return Unreadable(why_not_json(error, "element"))


class _Text:
    """The part of an array's text that is in memory.

    Attributes:
        held: some bytes; those before `start` are no longer needed.
        start: where the element that is being read begins.
        at: where scanning continues.
        depth: how many brackets are open within the element.
    """

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream
        self._too_long = False
        self._damage: Exception | None = None
        self.held = b""
        self.start = self.at = self.depth = 0

    def more(self) -> bool:
        """Read more; False at the end of the text. Little is held of an element that is too long."""
        self.held = self.held[self.start :]
        self.at -= self.start
        self.start = 0
        if len(self.held) > MAX_ROW_BYTES:
            self._too_long = True
            # An unfinished string stays unfinished, without its characters so far.
            string = _OPEN_STRING.match(self.held, self.at)
            self.held = b'"' + self.held[string.end() :] if string else b""
            self.at = 0
        parts = self._read_parts(max(_CHUNK_BYTES, len(self.held)))
        self.held = b"".join([self.held, *parts])
        return bool(parts)

    def _read_parts(self, wanted: int) -> list[bytes]:
        """About that many more bytes; damage after them is raised next time."""
        parts: list[bytes] = []
        while wanted > 0 and self._damage is None:
            try:
                part = self._stream.read1(wanted)
            except DAMAGE as error:
                self._damage = error
            else:
                if not part:
                    break
                parts.append(part)
                wanted -= len(part)
        if self._damage is not None and not parts:
            raise self._damage
        return parts

    def more_than_blanks(self) -> bool:
        """Whether any other text follows; reads to the end, so that damage is noticed."""
        more, anything = True, False
        while more:
            anything = anything or bool(self.held[self.start :].strip())
            self.start = self.at = len(self.held)
            more = self.more()
        return anything

    def take(self, end: int) -> bytes | Unreadable:
        """The element that ends here; the next one starts after the character at `end`."""
        element = self.held[self.start : end]
        self.start = end + 1
        if self._too_long or len(element) > MAX_ROW_BYTES:
            self._too_long = False
            return Unreadable(f"The element is longer than {MAX_ROW_BYTES} bytes.")
        return element

    def delimiters(self) -> Iterator[tuple[int, int]]:
        """Position and code of each comma between elements, and of the bracket that ends the array."""
        for token in _TOKEN.finditer(self.held, self.at):
            position = token.start()
            char = self.held[position]
            if char in b'"' and token.end() == position + 1:
                self.at = position
                return
            self.at = token.end()
            if char in b"[{":
                self.depth += 1
            elif self.depth and char in b"]}":
                self.depth -= 1
            elif not self.depth and char in b",]}":
                yield position, char
        self.at = len(self.held)


def elements(stream: io.BufferedIOBase) -> Iterator[bytes | Unreadable]:
    """The JSON texts of an array's elements, not yet parsed.

    Args:
        stream: the text of the array.
    """
    text = _Text(stream)
    more = text.more()
    text.held = text.held.removeprefix(BYTE_ORDER_MARK).lstrip()
    if not text.held.startswith(b"["):
        if text.held:
            yield Unreadable("The text is not a JSON array: it does not begin with [.")
        return
    text.start = text.at = 1
    while more:
        for position, char in text.delimiters():
            element = text.take(position)
            if char in b",":
                yield element
                continue
            if isinstance(element, Unreadable) or element.strip():
                yield element
            if text.more_than_blanks():
                yield Unreadable("There is text after the end of the array; it is not read.")
            return
        more = text.more()
    yield Unreadable("The array ends in the middle; the rest is lost.")
