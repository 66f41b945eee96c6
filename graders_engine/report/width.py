"""Text measured and cut in the columns of a terminal, where some characters take two and some none."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_TAB = " " * 4
_WIDE = "\u3001-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef"
_PIECES = rf"\s*(?:[{_WIDE}]|[^\s{_WIDE}]+(?: %)?)"
"""Words; scripts without blanks between words are broken between any two characters."""
_LEAST_COLUMNS = 20
"""A column of text that is narrower would be hard to read."""


def columns_of(text: str) -> int:
    """The columns that a text on one line takes: two for wide characters, none for combining marks."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut_end(text: str, columns: int) -> str:
    """The start of a text in at most so many columns, with "…" for the rest."""
    return text if columns_of(text) <= columns else f"{_start(text, columns - 1)}…"


def cut_middle(text: str, columns: int) -> str:
    """Both ends of a text in at most so many columns, with "…" between them."""
    if columns_of(text) <= columns:
        return text
    before = columns // 2
    return f"{_start(text, before)}…{_end(text, columns - 1 - before)}"


def padded(text: str, columns: int) -> str:
    """The text with blanks at its end, up to so many columns."""
    return text + " " * (columns - columns_of(text))


def short_names(names: Sequence[str], columns: int) -> list[str]:
    """Names in at most so many columns each, cut in the middle; different ones stay different.

    Names that would be alike without their middle lose what they all begin with, or get a number.
    """
    short = [cut_middle(name, columns) for name in names]
    for group in _alike(short):
        letters = zip(*(names[at] for at in group), strict=False)
        shared = next((at for at, some in enumerate(letters) if len(set(some)) > 1), columns)
        for at in group:
            short[at] = cut_middle(f"…{names[at][shared:]}", columns)
    for group in _alike(short):
        for number, at in enumerate(group, 1):
            short[at] = f"{_start(short[at], columns - 1 - len(str(number)))}~{number}"
    return short


def _alike(names: Sequence[str]) -> list[list[int]]:
    """The indexes of equal names, for each name that occurs several times."""
    indexes: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        indexes.setdefault(name, []).append(at)
    return [group for group in indexes.values() if len(group) > 1]


def wrapped(line: str, columns: int) -> list[str]:
    """A line as lines of at most so many columns, broken at blanks, and between wide characters.

    The later ones begin below the last column of a table's row, or are indented. A word that is longer than a
    line is broken anywhere, but for a path or an address: they stay whole, so that they can be copied.
    """
    line = line.replace("\t", _TAB).rstrip()
    if columns_of(line) <= columns:
        return [line]
    indent = " " * _hanging(line, columns)
    lines: list[str] = []
    current = ""
    for piece in re.findall(_PIECES, line):
        if not current or columns_of(current + piece) <= columns:
            current += piece
        else:
            lines.append(current)
            current = indent + piece.lstrip()
        while columns_of(current) > columns and "/" not in current:
            start = _start(current, columns)
            lines.append(start)
            current = indent + current[len(start) :]
    return [*lines, current]


def excerpt(line: str, carets: str, columns: int) -> tuple[str, str]:
    """The part of a line above its carets that fits into so many columns, and the carets below it."""
    if len(line) <= columns:
        return line, carets
    at = len(carets) - len(carets.lstrip())
    start = min(max(at - columns // 2, 0), len(line) - columns)
    part = line[start : start + columns]
    part = f"…{part[1:]}" if start else part
    part = f"{part[:-1]}…" if start + columns < len(line) else part
    return part, f"{' ' * (at - start)}{carets.lstrip()}"[:columns]


def _hanging(line: str, columns: int) -> int:
    """How far the later lines of a line are indented."""
    least = min(len(line) - len(line.lstrip()) + 4, columns // 3)
    cells = (columns_of(line[: cell.end()]) for cell in re.finditer(r"\S {2,}(?=\S)", line))
    return max((at for at in cells if at <= columns - _LEAST_COLUMNS), default=least)


def _start(text: str, columns: int) -> str:
    used = 0
    for at, char in enumerate(text):
        used += _columns(char)
        if used > columns:
            return text[:at]
    return text


def _end(text: str, columns: int) -> str:
    used = 0
    for at in range(len(text) - 1, -1, -1):
        used += _columns(text[at])
        if used > columns:
            # A combining mark without its letter would join the character before it.
            rest = text[at + 1 :]
            return rest.lstrip("".join(char for char in rest if not _columns(char)) or " ")
    return text
