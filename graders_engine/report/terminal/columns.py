"""How wide a stream is on which text is printed, and whether colours are wanted. Nothing else decides it."""

from __future__ import annotations

import os
from typing import Any

_MIN_COLUMNS, _MAX_COLUMNS = 20, 200
_TERMINAL_COLUMNS = 80
"""Columns of a terminal that does not say how many it has."""


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


def columns_of(stream: Any) -> int | None:
    """The width of a stream: the variable COLUMNS, or that of the terminal; None for a file or a pipe.

    COLUMNS together with LINES is ignored: a shell or readline has exported the size of a window, which may
    be another one by now.
    """
    columns = _asked_or_found(stream)
    return None if columns is None else min(max(columns, _MIN_COLUMNS), _MAX_COLUMNS)


def _asked_or_found(stream: Any) -> int | None:
    given = "" if os.environ.get("LINES") else os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return int(given)
    if not is_terminal(stream):
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or _TERMINAL_COLUMNS
    except (OSError, ValueError):
        return _TERMINAL_COLUMNS


def is_terminal(stream: Any) -> bool:
    """Whether somebody looks at what is printed on a stream."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # closed, or no file
        return False
