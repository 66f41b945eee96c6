"""What a text is printed on: how wide it is, and whether it shows colours. Nothing else decides these."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from graders_engine.report.visible import visible
from graders_engine.report.width import excerpt, wrapped

MIN_COLUMNS, MAX_COLUMNS = 20, 200
TERMINAL_COLUMNS = 80
"""Columns of a terminal that does not say how many it has."""
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
"""Begins a command to be copied: a line break within it would end it."""
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
                yield line, kind
            elif _CARETS.fullmatch(below):
                source, carets = excerpt(line, below, self.columns)
                yield source, kind
            else:
                yield from ((part, kind) for part in wrapped(line, self.columns))

    def _colored(self, line: str, kind: type[str]) -> str:
        code = _CODES.get(kind) if self.color and line else None
        return f"\x1b[{code}m{line}\x1b[0m" if code else line


FILE = Screen()
"""A file or a pipe."""


def screen_of(stream: Any) -> Screen:
    """The screen that a stream is printed on.

    Its width is the variable COLUMNS, or that of the terminal; in a file or a pipe without COLUMNS, nothing
    is wrapped. COLUMNS together with LINES is ignored: a shell or readline has exported the size of a window,
    which may be another one by now.
    """
    terminal = _is_terminal(stream)
    columns = _columns_of(stream, terminal=terminal)
    wanted = color_wanted()
    return Screen(
        FILE_COLUMNS if columns is None else min(max(columns, MIN_COLUMNS), MAX_COLUMNS),
        wraps=columns is not None,
        color=terminal if wanted is None else wanted,
    )


def color_wanted() -> bool | None:
    """Whether the environment asks for colours, or for none; None if a terminal decides.

    NO_COLOR (no-color.org) goes before FORCE_COLOR (force-color.org) and CLICOLOR_FORCE.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if any(
        os.environ.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")
    ):
        return True
    return False if os.environ.get("TERM") == "dumb" else None


def _columns_of(stream: Any, *, terminal: bool) -> int | None:
    given = "" if os.environ.get("LINES") else os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return int(given)
    if not terminal:
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or TERMINAL_COLUMNS
    except (OSError, ValueError):
        return TERMINAL_COLUMNS


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # closed, or no file
        return False
