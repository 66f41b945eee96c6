"""Which lines of a data set may have a word: found in the file's own bytes, before any text is made of them.

It never misses a line, and may name some that do not have the word; those have to be looked at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from graders_engine.errors import UnknownForm
from graders_engine.outputs.foreign import require_not_printed
from graders_engine.outputs.texts import FIRST_OF_OBJECTS, has_signs
from graders_engine.view.searching.fold import fold
from graders_engine.view.searching.folded import FoldedTexts, having

if (
    TYPE_CHECKING
):  # scipy takes a while to import, and this is imported by a process that starts often
    from graders_engine.statistics.estimate import Ints

Lines = NDArray[np.bool_]
_PARTS = 3
"""So many pieces of a word are looked for."""
_OF_A_NUMBER = re.compile(r"[0-9.e]+|[infty]+")
"""Pieces that a number may have as it is printed, but not as it is written in the file."""
_IN_NUMBERS = np.isin(np.arange(256), list(b"0123456789."))
_EIGHT = np.frombuffer(b"\1" * 8, np.uint64)[0]
_OF_PRINTED = frozenset("ACGMPRcde")
"""The letters with which what Python prints of an answer, and events of a stream, begin (`foreign`)."""
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_ESCAPED_BREAK = re.compile(rb"\\u000[aA]")
_BREAK = b"\n"


class _Item(msgspec.Struct, gc=False):
    """An item that is an object; what is in it is not looked at."""


_Missing = Annotated[int, msgspec.Meta(gt=0, lt=0)]
"""The type of a field that a line must not have: nothing is of this type."""


class _Plain(msgspec.Struct, gc=False):
    """A line whose texts are those of its JSON strings and numbers, each in one piece."""

    item: _Item
    id: str | int | None = None
    model_samples: _Missing = 0
    sample: _Missing = 0
    reference_answer: _Missing = 0
    error: _Missing = 0


class _PlainSamples(_Plain, gc=False, kw_only=True):
    samples: list[str]
    model_sample: _Missing = 0

    @property
    def all(self) -> list[str]:
        return self.samples


class _PlainRow(_Plain, gc=False, kw_only=True):
    model_sample: str
    samples: _Missing = 0

    @property
    def all(self) -> list[str]:
        return [self.model_sample]


_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    "samples": msgspec.json.Decoder(_PlainSamples),
    "rows": msgspec.json.Decoder(_PlainRow),
}


def pieces_of(word: bytes) -> list[bytes]:
    """The longest pieces of a folded word that stand in the JSON of each plain line that has the word.

    What JSON escapes and what is put between the parts of an item divides them.
    """
    text = word.decode(errors="surrogatepass")
    kept = "".join(each if _is_kept(each) else " " for each in text)
    return sorted(map(fold, kept.split()), key=len, reverse=True)[:_PARTS]


def _is_kept(letter: str) -> bool:
    # A letter beyond these is two escapes.
    return letter <= "\uffff" and (letter.isalnum() or letter in "._")


class RawLines:
    """The lines of a data set as they are in its file.

    Args:
        texts: the segments of the data set.
    """

    def __init__(self, texts: FoldedTexts) -> None:
        self._texts, self._data = texts, texts.data
        # Of each segment that was looked at, the lines that are not plain, and those with odd numbers.
        self._others: dict[int, Lines] = {}
        self._odd: dict[int, Lines] = {}

    @property
    def worth_it(self) -> bool:
        """Whether lines may be plain at all."""
        return not self._data.marked and self._data.shape.name in _DECODERS

    def read(self, number: int) -> bytes:
        """The bytes of a segment's lines.

        Raises:
            OSError: the file cannot be read.
        """
        bounds = self._texts.bounds
        start, end = self._data.starts[bounds[number : number + 2]].tolist()
        with self._data.path.open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    def samples(self, number: int, content: bytes) -> list[Sequence[str] | None]:
        """The samples of each line of a segment that is plain; None for any other line.

        Args:
            number: of the segment.
            content: its lines.
        """
        first, end = self._texts.bounds[number : number + 2].tolist()
        starts = self._data.starts[first : end + 1] - self._data.starts[first]
        return _plain_samples(content, starts, self._data.shape.name)

    def having(self, number: int, content: bytes, words: Sequence[bytes]) -> list[Lines]:
        """For each word, which lines of a segment may have it.

        Args:
            number: of the segment.
            content: its lines.
            words: folded.
        """
        first, end = self._texts.bounds[number : number + 2].tolist()
        starts = self._data.starts[first : end + 1] - self._data.starts[first]
        others = self._others.get(number)
        if others is None:
            others = self._others[number] = _not_plain(content, starts, self._data.shape.name)
        folded = _folded(content, starts)
        if folded is None:
            return [np.ones(end - first, bool)] * len(words)
        found = []
        for word in words:
            pieces = pieces_of(word)
            hits = np.ones(end - first, bool)
            for piece in pieces:
                having_it = having(*folded, piece, _BREAK)
                if _OF_A_NUMBER.fullmatch(piece.decode(errors="surrogatepass")):
                    if number not in self._odd:
                        self._odd[number] = _with_odd_numbers(*folded)
                    having_it |= self._odd[number]
                hits &= having_it
            found.append(hits | others)
        return found


def _not_plain(content: bytes, starts: Ints, shape: str) -> Lines:
    return np.array([each is None for each in _plain_samples(content, starts, shape)], bool)


def _plain_samples(content: bytes, starts: Ints, shape: str) -> list[Sequence[str] | None]:
    decoder = _DECODERS[shape]
    decode_line = partial(_decoded, decoder)
    try:
        lines: list[Any] = decoder.decode_lines(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        lines = []
    if len(lines) != len(starts) - 1:
        ends = starts.tolist()
        lines = [decode_line(content[start:end]) for start, end in pairwise(ends)]
    may_have_signs = b"\\u00" in content or has_signs(
        content.replace(b'\\"', b'"').decode("latin-1")
    )
    return [
        None if line is None or not _are_texts(line.all, may_have_signs) else line.all
        for line in lines
    ]


def _decoded(decoder: msgspec.json.Decoder[Any], line: bytes) -> Any:
    try:
        return decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _are_texts(samples: Sequence[str], may_have_signs: bool) -> bool:
    """Whether all samples are the model's texts as they stand."""
    for sample in samples:
        first = sample[:1]
        if first.isalnum() and first not in _OF_PRINTED:
            continue
        if may_have_signs and first in FIRST_OF_OBJECTS and has_signs(sample):
            return False
        if first == "{" and sample[1:2] != "'":
            continue
        try:
            require_not_printed(sample)
        except UnknownForm:
            return False
    return True


def _folded(content: bytes, starts: Ints) -> tuple[bytes, Ints] | None:
    """The lines without differences of case and without escapes of letters, and where each begins.

    None if they are not what they should be.
    """
    if b"\\u" in content:
        unescaped = _unescaped(content)
        if unescaped is None:
            return None
        text = fold(unescaped)
    elif content.isascii():
        return content.lower(), starts[:-1]
    else:
        try:
            text = fold(content.decode())
        except UnicodeDecodeError:
            return None
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == _BREAK[0]) + 1
    begins = np.concatenate(([0], ends)).astype(np.int64)[: len(starts) - 1]
    lines = len(ends) + (not text.endswith(_BREAK))
    return (text, begins) if lines == len(starts) - 1 else None


def _unescaped(content: bytes) -> str | None:
    """Lines with letters in place of their escapes, and blanks in place of escaped breaks and backslashes."""
    text = content.replace(b"\\\\", b"  ").replace(b"\\n", b"  ").replace(b"\\/", b" /")
    text = _ESCAPED_BREAK.sub(b" ", text)
    try:
        if text.isascii():  # as most files are that have such escapes: at a tenth of the time
            return text.decode("unicode_escape")
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text.decode())
    except UnicodeDecodeError:
        return None


def _with_odd_numbers(text: bytes, starts: Ints) -> Lines:
    """Lines that may have a number that is printed otherwise than it is written: 1e3, 0.00001, or long."""
    each = np.frombuffer(text, np.uint8)
    digits = _IN_NUMBERS[each]
    whole = len(each) // 8 * 8
    # Of 16 digits in a row, or more, 8 fill such a group.
    long = np.flatnonzero(digits[:whole].view(np.uint64) == _EIGHT) * 8
    powers = np.flatnonzero(digits[:-1] & (each[1:] == ord("e")))
    found = having(text, starts, b"0.0000", _BREAK)
    for places in (long, powers):
        found[np.searchsorted(starts, places, side="right") - 1] = True
    return found
