"""What formulas of other languages have, and how a formula here says it."""

from __future__ import annotations

import re
from collections.abc import Collection

from graders_engine.language.formula_tokens import is_name
from graders_engine.language.words import words_in

_CONDITION = "there are no conditions: use a python grader, or floor, min and max"
_COMPARISON = "there are no comparisons: use a python grader, or floor, min and max"
_LOGIC = "there is no logic: write `a * b` for and, `max(a, b)` for or, `1 - a` for not"
_ALONE = "a grader's key stands alone, without braces, quotes or a dot"

_MARKS = {
    "**": "a power is written `^`",
    "//": "a whole division is written `floor(a / b)`",
    "%": "there is no remainder: `a - b * floor(a / b)`",
    "\N{MULTIPLICATION SIGN}": "write `*`", "\N{MIDDLE DOT}": "write `*`", "\N{DIVISION SIGN}": "write `/`",
    "\N{MINUS SIGN}": "write `-`", "\N{EN DASH}": "write `-`",
    "&&": _LOGIC, "||": _LOGIC, "&": _LOGIC, "|": _LOGIC,
    "==": _COMPARISON, "!=": _COMPARISON, "<=": _COMPARISON, ">=": _COMPARISON,
    "<": _COMPARISON, ">": _COMPARISON, "=": _COMPARISON, "≤": _COMPARISON, "≥": _COMPARISON,
    "!": _LOGIC, "?": _CONDITION, ":": _CONDITION,
    "{": _ALONE, "}": _ALONE, '"': _ALONE, "'": _ALONE, ".": _ALONE, "[": _ALONE, "]": _ALONE,
}  # fmt: skip
_WORDS = {
    **dict.fromkeys(("if", "else", "elif", "then", "case", "when"), _CONDITION),
    ",": "only functions take several values, and a decimal has a point",
    **dict.fromkeys(("and", "or", "not", "is", "in", "AND", "OR", "NOT"), _LOGIC),
}
_FUNCTIONS = {
    "pow": "a power is written `a ^ b`",
    "mean": "a mean is written `(a + b) / 2`",
    "avg": "a mean is written `(a + b) / 2`",
    "average": "a mean is written `(a + b) / 2`",
    "sum": "a sum is written `a + b`",
    "round": "a rounded number is written `floor(a + 0.5)`",
    "ln": "the natural logarithm is `log`",
    "log10": "it is `log(a) / log(10)`",
    "log2": "it is `log(a) / log(2)`",
    "int": "write `floor`",
    "clamp": "write `min(max(a, 0), 1)`",
    "clip": "write `min(max(a, 0), 1)`",
}
_QUOTES = re.compile(r"[\"'{\[]+\s*")
_MARK = re.compile("|".join(map(re.escape, sorted(_MARKS, key=len, reverse=True))))


def foreign_mark(source: str, at: int) -> tuple[str, str]:
    """The mark of another language that stands here, and what to write instead; empty if there is none."""
    found = _MARK.match(source, at)
    return (found[0], _MARKS[found[0]]) if found else ("", "")


def foreign_word(word: str) -> str:
    """What to write instead of a word, or a comma, of another language; empty if it is none."""
    return _WORDS.get(word, "")


def foreign_function(name: str) -> str:
    """What to write instead of a function of another language; empty if it is none."""
    return _FUNCTIONS.get(name, "")


def unnameable(keys: Collection[str]) -> list[str]:
    """Those of the graders' keys that no formula can name, the longest first."""
    names = [key for key in keys if key.strip() and not is_name(key)]
    return sorted(names, key=len, reverse=True)


def quoted_key(source: str, at: int, keys: Collection[str]) -> str:
    """The key that stands here in quotes, braces or brackets; empty if none does."""
    inside = _QUOTES.match(source, at)
    return next((key for key in keys if inside and source.startswith(key, inside.end())), "")


def how_to_rename(key: str, taken: Collection[str]) -> str:
    """What to do with a key that no formula can name: the rule, and a name that is free."""
    name = "_".join(words_in(key)) or "grader"
    name = name if is_name(name) else f"grader_{name}"
    free, count = name, 1
    while free in taken:
        count += 1
        free = f"{name}_{count}"
    return f"use letters, digits and _, as in `{free}`"
