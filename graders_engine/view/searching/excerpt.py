"""A line of a row's text, around what was searched for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from graders_engine.report.row_texts import RowText
from graders_engine.view.searching.terms import Term

CHARS = 240
"""Characters of an excerpt."""
_BEFORE = 40
"""Characters before the first word that was found."""
_BREAKS = str.maketrans(dict.fromkeys("\n\r\t\v\f\x1c\x1d\x1e\x85\u2028\u2029", " "))


class Excerpt(NamedTuple):
    """A piece of a row's text around what was searched for.

    Attributes:
        text: one line.
        marks: where the searched words are in it: start and end, in code points.
        part: "sample", "item" or "flags".
        before: whether there is more text before it.
        after: whether there is more text after it.
    """

    text: str
    marks: list[tuple[int, int]]
    part: str
    before: bool
    after: bool

    def as_json(self) -> dict[str, Any]:
        """As the routes send it."""
        return {
            "text": self.text,
            "marks": self.marks,
            "in": self.part,
            "before": self.before,
            "after": self.after,
        }


def excerpt_of(text: RowText, terms: Sequence[Term]) -> Excerpt:
    """The sample or the item around the first searched word; without one, the sample's beginning."""
    words = [term.text for term in terms if term.word]
    for part, whole in (("sample", text.sample), ("item", text.item)):
        found = _around(part, whole, words)
        if found is not None:
            return found
    return _cut("sample", text.sample, 0, words)


def flags_excerpt(flags: Mapping[str, str], terms: Sequence[Term]) -> Excerpt | None:
    """The details of a row's flags around the first searched word; None if none is in them."""
    details = "\n".join(filter(None, flags.values()))
    return _around("flags", details, [term.text for term in terms if term.word])


def _around(part: str, whole: str, words: Sequence[str]) -> Excerpt | None:
    if not words:
        return None
    folded = whole.casefold()
    places = [at for word in words if (at := folded.find(word)) >= 0]
    if not places:
        return None
    first = min(places)
    if len(folded) != len(whole):
        first = _unfolded(whole, first)
    return _cut(part, whole, max(first - _BEFORE, 0), words)


def _unfolded(whole: str, place: int) -> int:
    """The character that gives what is at a place of the folded text: some give two or three."""
    low, high = 0, len(whole)
    while low < high:
        middle = (low + high + 1) // 2
        if len(whole[:middle].casefold()) <= place:
            low = middle
        else:
            high = middle - 1
    return low


def _cut(part: str, whole: str, start: int, words: Sequence[str]) -> Excerpt:
    piece = whole[start : start + CHARS].translate(_BREAKS)
    return Excerpt(piece, _marks(piece, words), part, start > 0, start + CHARS < len(whole))


def _marks(piece: str, words: Sequence[str]) -> list[tuple[int, int]]:
    """Where the words are in a short text; those that overlap are one."""
    folded = [each.casefold() for each in piece]
    # Of each character of the folded text, the one of the text that gives it.
    origin = [at for at, each in enumerate(folded) for _ in each]
    text = "".join(folded)
    found = []
    for word in words:
        spread = word.translate(_BREAKS)
        at = text.find(spread)
        while at >= 0:
            found.append((origin[at], origin[at + len(spread) - 1] + 1))
            at = text.find(spread, at + len(spread))
    merged: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
