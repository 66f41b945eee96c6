"""A page of Markdown as it is read in a terminal: text and tables that fit, code as it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from textwrap import wrap

import click

from graders_engine.report.width import columns_of, padded

_ITEM = r" *(?:- |\d+\. )"
_PART = re.compile(
    r"^```\w*(?: (?P<file>[^\n]+))?\n(?P<code>.*?)^```$"
    r"|(?P<table>(?:^\|[^\n]*(?:\n(?=\|))?)+)"
    r"|^\#+\ (?P<heading>[^\n]+)"
    rf"|(?P<text>^[^\n]+(?:\n(?!{_ITEM}|\||\#|```|\n)[^\n]+)*)",
    re.MULTILINE | re.DOTALL,
)
_MARK = re.compile(rf"{_ITEM}| *")
_LINK = re.compile(r"(\()?\[([^\]]+)\]\(([^)\s]+)\)(?(1)(?=\)))")
"""In parentheses of its own or not."""
_BAR = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r"[\s|:-]+")
_GAP = "  "
_CODE_INDENT = 4
_LEAST_CELL = 12
"""Columns that a cell of a table keeps, however little room there is."""


def page_lines(page: str, columns: int, *, colored: bool) -> Iterator[str]:
    """The lines of a page. Links to other pages become the command that prints them.

    Args:
        page: its text in Markdown.
        columns: of the terminal.
        colored: whether headings are bold, or marked as they are in Markdown.
    """
    end = 0
    for part in _PART.finditer(page):
        if "\n\n" in page[end : part.start()]:
            yield ""
        end = part.end()
        if part["code"] is not None:
            named = part["file"] or ""
            head = f"({named})" if named.startswith("needs ") else named and f"{named}:"
            yield from _code(head, part["code"], columns)
        elif part["table"]:
            yield from _table(part["table"].splitlines(), columns, colored=colored)
        elif part["heading"]:
            yield click.style(part["heading"], bold=True) if colored else part[0]
        else:
            yield from _paragraph(part["text"], columns)


def _code(head: str, code: str, columns: int) -> Iterator[str]:
    lines = code.splitlines()
    room = columns - max(map(columns_of, lines), default=0)
    indent = " " * max(min(room, _CODE_INDENT), len(_GAP))
    for line in [head, *lines] if head else lines:
        yield f"{indent}{line}".rstrip()


def _paragraph(text: str, columns: int) -> list[str]:
    mark = _MARK.match(text)
    indent = mark[0] if mark else ""
    words = " ".join(_LINK.sub(_named, text[len(indent) :]).split())
    return wrap(
        words, columns, initial_indent=indent, subsequent_indent=" " * len(indent),
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip


def _named(link: re.Match[str]) -> str:
    """A link as a reader of a terminal can follow it."""
    opening, text, target = link.groups()
    page = target.partition("#")[0]
    if "//" in target or not page.endswith(".md"):
        place = "" if text == target or not page else target
    else:
        name = page.removeprefix("../").removesuffix(".md")
        place = f"`graders guide {name}`"
        if text.lower() == name:
            text, place = place, ""
    if opening:
        return f"({text}: {place}" if place else f"({text}"
    return f"{text} ({place})" if place else text


def _table(source: Sequence[str], columns: int, *, colored: bool) -> Iterator[str]:
    """The lines of a table; its first row has the headings."""
    rows = [_cells(line) for line in source if not _RULE.fullmatch(line)]
    widths = _widths(rows, columns)
    for at, row in enumerate(rows):
        cells = [_wrapped(cell, width) for cell, width in zip(row, widths, strict=False)]
        for line in zip_longest(*cells, fillvalue=""):
            text = _GAP.join(map(padded, line, widths)).rstrip()
            yield click.style(text, bold=True) if colored and not at else text


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [_LINK.sub(_named, cell.strip().replace("\\|", "|")) for cell in _BAR.split(inner)]


def _wrapped(cell: str, width: int) -> list[str]:
    indent = _GAP  # tells the next line of a cell from the next row
    return wrap(cell, width, subsequent_indent=indent, break_on_hyphens=False) or [""]


def _widths(rows: Sequence[Sequence[str]], columns: int) -> list[int]:
    """As wide as the cells are, where there is room; the widest columns share what the others leave."""
    table = [*zip_longest(*rows, fillvalue="")]
    widest = [max(map(columns_of, column)) for column in table]
    least = [_longest_word(column) for column in table]
    room = columns - len(_GAP) * (len(table) - 1)
    widths = [0] * len(table)
    narrow_first = sorted(range(len(table)), key=widest.__getitem__)
    for taken, at in enumerate(narrow_first):
        rest = narrow_first[taken + 1 :]
        share = min(room // (len(rest) + 1), room - sum(least[other] for other in rest))
        widths[at] = min(widest[at], max(share, least[at], _LEAST_CELL))
        room -= widths[at]
    return widths


def _longest_word(column: Sequence[str]) -> int:
    return max((columns_of(word) for cell in column for word in cell.split()), default=0)
