"""JSON: one array, its elements the rows; read element by element."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows.lines import BYTE_ORDER_MARK, why_not_json
from graders_engine.dataset.rows.records import MAX_ROW_BYTES, Record, Records
from graders_engine.dataset.rows.source import DAMAGE, STDIN, Source, damaged, unreadable_disk
from graders_engine.language import strict_json

_CHUNK_BYTES = 1 << 16
_OPEN_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_TOKEN = re.compile(_OPEN_STRING.pattern + rb'"|["\[\]{},]', re.DOTALL)
"""A whole string, or a sign that matters outside of strings; a lone quote opens an unfinished string."""


class JsonArray(Records):
    """The elements of one JSON array, numbered from 1; of a key that stands twice the last value counts.

    Args:
        source: where the bytes come from.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.path, self.size, self.once = source.path, source.size, source.path == STDIN
        self.form = source.form("json")

    def _rows(self, after_line: int) -> Iterator[Record]:
        number = 0
        with unreadable_disk(self.path), self._source.open() as (stream, tell):
            try:
                for number, element in enumerate(_elements(stream), 1):
                    if number > after_line:
                        row = element if isinstance(element, Unreadable) else _value(element)
                        yield number, tell(), row
            except DAMAGE as error:
                if number >= after_line:
                    yield number + 1, tell(), damaged(error)


def _value(element: bytes) -> object:
    try:
        return strict_json.decode(element)
    except ValueError as error:
        return Unreadable(why_not_json(error, "element"))


class _Text:
    """The part of an array's text that is at hand.

    Attributes:
        held: some bytes; what is before `start` is done with.
        start: of the element that is being read.
        at: up to where it was looked at.
        depth: brackets that are open within it.
    """

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream
        self._too_long = False
        self._damage: Exception | None = None
        self.held = b""
        self.start = self.at = self.depth = 0

    def more(self) -> bool:
        """Read on; False at the end of the text. Of an element that is too long little is held."""
        self.held = self.held[self.start :]
        self.at -= self.start
        self.start = 0
        if len(self.held) > MAX_ROW_BYTES:
            self._too_long = True
            # An unfinished string stays one, without what it holds so far.
            string = _OPEN_STRING.match(self.held, self.at)
            self.held = b'"' + self.held[string.end() :] if string else b""
            self.at = 0
        parts = self._parts(max(_CHUNK_BYTES, len(self.held)))
        self.held = b"".join([self.held, *parts])
        return bool(parts)

    def _parts(self, wanted: int) -> list[bytes]:
        """About so many bytes more; what comes before damage is given, the damage raised the next time."""
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
        """Whether there is anything else; reads on to the end, where damage shows."""
        more, anything = True, False
        while more:
            anything = anything or bool(self.held[self.start :].strip())
            self.start = self.at = len(self.held)
            more = self.more()
        return anything

    def take(self, end: int) -> bytes | Unreadable:
        """The element that ends here; the next one starts behind the sign that is here."""
        element = self.held[self.start : end]
        self.start = end + 1
        if self._too_long or len(element) > MAX_ROW_BYTES:
            self._too_long = False
            return Unreadable(f"The element is longer than {MAX_ROW_BYTES} bytes.")
        return element

    def signs(self) -> Iterator[tuple[int, int]]:
        """Place and code of each comma at the array's own level, and of the bracket that ends it."""
        for token in _TOKEN.finditer(self.held, self.at):
            place = token.start()
            sign = self.held[place]
            if sign in b'"' and token.end() == place + 1:
                self.at = place
                return
            self.at = token.end()
            if sign in b"[{":
                self.depth += 1
            elif self.depth and sign in b"]}":
                self.depth -= 1
            elif not self.depth and sign in b",]}":
                yield place, sign
        self.at = len(self.held)


def _elements(stream: io.BufferedIOBase) -> Iterator[bytes | Unreadable]:
    text = _Text(stream)
    more = text.more()
    text.held = text.held.removeprefix(BYTE_ORDER_MARK).lstrip()
    if not text.held.startswith(b"["):
        if text.held:
            yield Unreadable("The text is no JSON array: it does not begin with [.")
        return
    text.start = text.at = 1
    while more:
        for place, sign in text.signs():
            element = text.take(place)
            if sign in b",":
                yield element
                continue
            if isinstance(element, Unreadable) or element.strip():
                yield element
            if text.more_than_blanks():
                yield Unreadable("There is text behind the end of the array; it is not read.")
            return
        more = text.more()
    yield Unreadable("The array ends in the middle; what may have followed is lost.")
