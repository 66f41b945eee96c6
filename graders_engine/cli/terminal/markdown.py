"""A table of Markdown as it is read in a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from textwrap import wrap

_CELL_END = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r":?-+:?")
_GAP = "  "
_LEAST = 6
"""Columns of a terminal that a cell has, however many cells a row has."""


def table_lines(lines: Sequence[str], width: int) -> Iterator[str]:
    """The lines of a table with aligned columns, whose cells are wrapped where it would be too wide.

    Args:
        lines: the table in Markdown, each line with a | at both ends.
        width: that of the terminal, in characters.

    Example:
        >>> list(table_lines(["| a | b |", "|---|---|", "| one | two or three |"], 11))
        ['a    b', '---  ------', 'one  two or', '     three']
    """
    rows = [_cells(line) for line in lines]
    widths = _widths(rows, width)
    for row in rows:
        if not any(row):
            continue  # a head without names
        if all(map(_RULE.fullmatch, row)):
            if any(rows[0]):
                yield _GAP.join("-" * columns for columns in widths)
            continue
        wrapped = [
            wrap(cell, columns, break_on_hyphens=False)
            for cell, columns in zip(row, widths, strict=False)
        ]
        for parts in zip_longest(*wrapped, fillvalue=""):
            padded = map(str.ljust, parts, widths)
            yield _GAP.join(padded).rstrip()


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [cell.strip().replace(r"\|", "|") for cell in _CELL_END.split(inner)]


def _widths(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """The width of each column: its longest cell, or an equal share of what narrower ones leave."""
    texts = [row for row in rows if not all(map(_RULE.fullmatch, row))]
    longest = [max(map(len, column)) for column in zip_longest(*texts, fillvalue="")]
    room, free = width - len(_GAP) * (len(longest) - 1), len(longest)
    share = room
    for columns in sorted(longest):
        share = room // free
        if columns > share:
            break
        room, free = room - columns, free - 1
    return [min(columns, max(_LEAST, share)) for columns in longest]
