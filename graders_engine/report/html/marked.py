"""Two texts with their difference marked, word by word."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from itertools import pairwise

from graders_engine.report.visible import cut

MAX_CHARS = 8_000
"""Characters of a text that are shown; the rest is cut, and not compared."""
MAX_WORDS = 10_000
"""Words and blanks of both texts, without what they begin and end with in common, that are compared word by
word, which takes up to 50 ms; in longer ones all of that is marked."""
_WORD = re.compile(r"\s+|\w+|[^\w\s]")
Part = tuple[str, bool]
"""A piece of a text, and whether the other text lacks it."""


@dataclass(frozen=True, slots=True)
class Marked:
    """The start of a text, safe to display.

    Attributes:
        parts: its pieces in their order.
        is_cut: whether they are not all of it.
    """

    parts: tuple[Part, ...]
    is_cut: bool

    @property
    def text(self) -> str:
        """The text without marks."""
        return "".join(text for text, _ in self.parts)


def marked(before: str, after: str) -> tuple[Marked, Marked]:
    """Mark in each of two texts what the other lacks.

    The words in common are those of `difflib`; for texts that are too long for it, only what they begin and
    end with.
    """
    (one, one_more), (other, other_more) = (cut(text, MAX_CHARS) for text in (before, after))
    old, new = _WORD.findall(one), _WORD.findall(other)
    blocks = _common(old, new)
    return (
        Marked(_parts(old, [(start, size) for start, _, size in blocks]), one_more > 0),
        Marked(_parts(new, [(start, size) for _, start, size in blocks]), other_more > 0),
    )


def _common(old: list[str], new: list[str]) -> list[tuple[int, int, int]]:
    """What both have in the same order: (start in the old one, start in the new one, size) each."""
    most = min(len(old), len(new))
    head = next((at for at in range(most) if old[at] != new[at]), most)
    most -= head
    tail = next((at for at in range(most) if old[-1 - at] != new[-1 - at]), most)
    middle = old[head : len(old) - tail], new[head : len(new) - tail]
    blocks = [(0, 0, head)]
    if sum(map(len, middle)) <= MAX_WORDS:
        matcher = difflib.SequenceMatcher(str.isspace, *middle)
        blocks += [(head + a, head + b, size) for a, b, size in matcher.get_matching_blocks()]
    return [*blocks, (len(old) - tail, len(new) - tail, tail)]


def _parts(words: list[str], common: list[tuple[int, int]]) -> tuple[Part, ...]:
    """The words as pieces; those that are not in common are marked."""
    parts: list[Part] = []
    for (start, size), (following, _) in pairwise([*common, (len(words), 0)]):
        parts.append(("".join(words[start : start + size]), False))
        parts.append(("".join(words[start + size : following]), True))
    first = "".join(words[: common[0][0]])
    return tuple(part for part in ((first, True), *parts) if part[0])
