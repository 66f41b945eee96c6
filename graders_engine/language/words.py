"""Words of any script: letters with their marks, digits and `_`.

The word characters of `re` are no combining marks: words of Hindi, Thai, vowelled Arabic or decomposed Latin
would end in their middle.
"""

from __future__ import annotations

import re

JOINERS = "\u200c\u200d"
"""Invisible characters that stand inside words of Persian and of India's scripts, and inside emoji."""
_PLAIN = re.compile(r"\w*")
_MAX_COMPARED = 200
_MAX_SHOWN = 4


def word_end(text: str, at: int) -> int:
    """Where the word ends that starts at `at`; `at` itself if none does."""
    while True:
        plain = _PLAIN.match(text, at)
        at = plain.end() if plain else at
        if at >= len(text) or text[at].isascii() or not _continues_word(text[at]):
            return at
        at += 1


def is_word(text: str) -> bool:
    """Whether a text is one word."""
    return text.strip(JOINERS) != "" and word_end(text, 0) == len(text)


def words_in(text: str) -> list[str]:
    """The words of a text, in order."""
    found, at = [], 0
    while at < len(text):
        end = word_end(text, at)
        if end > at:
            found.append(text[at:end])
        at = max(end, at + 1)
    return found


def _continues_word(char: str) -> bool:
    """Whether a character outside ASCII that `re` takes for none of a word continues one all the same."""
    import unicodedata  # needed for few texts

    return char in JOINERS or unicodedata.category(char)[0] == "M"


def same_looking(word: str, known: tuple[str, ...]) -> str:
    """The known word that looks like this one and has other code points; empty if there is none."""
    known = known[:_MAX_COMPARED]
    if word.isascii() and all(map(str.isascii, known)):
        return ""
    seen = _seen(word)
    return next((name for name in known if name != word and _seen(name) == seen), "")


def _seen(word: str) -> str:
    """What a reader sees of a word: in one normal form, without characters that have no shape."""
    import unicodedata

    if word.isascii():
        return word
    normal = unicodedata.normalize("NFKC", word)
    return "".join(char for char in normal if unicodedata.category(char) != "Cf")


def code_points(there: str, here: str) -> str:
    """Where two words that look the same differ: "U+00E9 there, U+0065 U+0301 here"."""
    start = 0
    while start < min(len(there), len(here)) and there[start] == here[start]:
        start += 1
    end = 0
    while end < min(len(there), len(here)) - start and there[-1 - end] == here[-1 - end]:
        end += 1
    return f"{_listed(there[start : len(there) - end])} there, {_listed(here[start : len(here) - end])} here"


def _listed(chars: str) -> str:
    points = " ".join(f"U+{ord(char):04X}" for char in chars[:_MAX_SHOWN]) or "nothing"
    return points + (" …" if len(chars) > _MAX_SHOWN else "")
