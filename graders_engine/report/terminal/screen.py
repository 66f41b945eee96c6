"""What a text is printed on: lines that fit its width, in colours where it shows them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from graders_engine.report.terminal.columns import color_wanted, columns_of, is_terminal
from graders_engine.report.visible import visible
from graders_engine.report.width import columns_of as columns_of_text
from graders_engine.report.width import excerpt, wrapped

FILE_COLUMNS = 130
"""Columns to which quoted text is cut in a file or a pipe; whole lines are not wrapped there."""


class Heading(str):
    """A line in bold type."""

    __slots__ = ()


class Caution(str):
    """A line in yellow: something that needs attention."""

    __slots__ = ()


class Problem(str):
    """A line in red: something that failed."""

    __slots__ = ()


_CARETS = re.compile(r" *\^+")
_COMMAND = re.compile(" {4}(?:for n in [^;]+; do )?graders ")
"""Begins a command to be copied: a line break within it would end it, but for one after a backslash."""
_CODES: dict[type[str], str] = {Heading: "1", Caution: "33", Problem: "31"}


@dataclass(frozen=True, slots=True)
class Screen:
    """A terminal, or what stands in for one.

    Attributes:
        columns: its width.
        wraps: whether lines that are longer are broken at blanks.
        color: whether it shows colours.
    """

    columns: int = FILE_COLUMNS
    wraps: bool = False
    color: bool = False

    def text(self, lines: Iterable[str]) -> str:
        """Lines as one text that is safe to display, fits, and has the colours of its lines."""
        wholes = [
            (whole, type(line))
            for line in lines
            for whole in (visible(line).split("\n") if line else [""])
        ]
        if self.wraps:
            wholes = [*self._fitting(wholes)]
        return "\n".join(self._colored(line, kind) for line, kind in wholes)

    def _fitting(self, lines: list[tuple[str, type[str]]]) -> Iterator[tuple[str, type[str]]]:
        """The lines as lines that fit; a source line and the carets below it stay below each other."""
        carets = ""
        end: tuple[str, type[str]] = ("", str)
        for (line, kind), (below, _) in pairwise([*lines, end]):
            if carets:
                yield carets, kind
                carets = ""
            elif _COMMAND.match(line):
                yield from ((part, kind) for part in _command(line, self.columns))
            elif _CARETS.fullmatch(below):
                source, carets = excerpt(line, below, self.columns)
                yield source, kind
            else:
                yield from ((part, kind) for part in wrapped(line, self.columns))

    def _colored(self, line: str, kind: type[str]) -> str:
        code = _CODES.get(kind) if self.color and line else None
        return f"\x1b[{code}m{line}\x1b[0m" if code else line


def _command(line: str, columns: int) -> list[str]:
    """A command as lines that a shell joins again, broken before its options; a loop stays as it is."""
    if columns_of_text(line) <= max(columns, _LONG_COMMAND) or not line.startswith("    graders "):
        return [line]
    try:
        words = shlex.split(line)
    except ValueError:
        return [line]
    parts: list[str] = []
    for word in words:
        if word.startswith("--") or not parts:
            parts.append(shlex.quote(word))
        else:
            parts[-1] += f" {shlex.quote(word)}"
    lines = [f"    {parts[0]}"]
    for part in parts[1:]:
        if columns_of_text(f"{lines[-1]} {part}") + len(_JOINED) <= columns:
            lines[-1] += f" {part}"
        else:
            lines.append(f"        {part}")
    return [f"{one}{_JOINED}" for one in lines[:-1]] + lines[-1:]


_JOINED = " \\"
_LONG_COMMAND = 200
"""Columns up to which a command is easier to copy in one piece than to read in several."""

FILE = Screen()
"""A file or a pipe."""


def screen_of(stream: Any) -> Screen:
    """The screen that a stream is printed on.

    In a file or a pipe without the variable COLUMNS, nothing is wrapped.
    """
    columns = columns_of(stream)
    wanted = color_wanted()
    return Screen(
        FILE_COLUMNS if columns is None else columns,
        wraps=columns is not None,
        color=is_terminal(stream) if wanted is None else wanted,
    )
