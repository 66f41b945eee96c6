"""The parts of a formula: numbers, names and marks."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from graders_engine.language.words import is_word, word_end

NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_MARKS = "-+*/^(),"
_BLANKS = re.compile(r"\s*")


class Token(NamedTuple):
    """A part of a formula.

    Attributes:
        kind: "number", "name", "mark", or "other" for a character that is not part of the language.
        text: the part itself.
        start: its offset in the formula.
        end: the offset after it.
    """

    kind: str
    text: str
    start: int
    end: int


def is_name(key: str) -> bool:
    """Whether a formula can name a grader's key: one word of any script that is no number."""
    return is_word(key) and not NUMBER.fullmatch(key)


def token_at(source: str, at: int, is_key: Callable[[str], bool]) -> Token:
    """The part that starts at an offset within the formula.

    Args:
        source: the formula.
        at: the offset, which is not of a blank.
        is_key: whether a word that starts with a digit is a key; other words are names in any case.
    """
    if source[at] in _MARKS:
        return Token("mark", source[at], at, at + 1)
    end = word_end(source, at)
    word = source[at:end]
    if word and (not word[0].isdecimal() or is_key(word)):
        return Token("name", word, at, end)
    if number := NUMBER.match(source, at):
        return Token("number", number[0], at, number.end())
    return Token("other", source[at], at, at + 1)


def skip_blanks(source: str, at: int) -> int:
    """The offset of what comes next."""
    blanks = _BLANKS.match(source, at)
    return blanks.end() if blanks else at
