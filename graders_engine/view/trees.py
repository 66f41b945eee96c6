"""The report's HTML as trees of allowed elements, which a page builds without parsing any HTML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

Tree = str | list[Any]
"""A text, or an element: [name, {attribute: value}, [trees]]."""
ELEMENTS = frozenset(
    ("a", "article", "b", "caption", "code", "dd", "del", "desc", "details", "div", "dl", "dt", "em",
     "figcaption", "figure", "g", "h2", "h3", "h4", "i", "ins", "kbd", "li", "line", "ol", "p", "path", "pre",
     "rect", "section", "small", "span", "strong", "summary", "svg", "table", "tbody", "td", "text", "th",
     "thead", "title", "tr", "ul")
)  # fmt: skip
"""Elements of a tree; others are left out with what is in them."""
ATTRIBUTES = frozenset(
    ("aria-hidden", "aria-label", "aria-labelledby", "class", "colspan", "d", "data-label", "dir", "dy",
     "height", "href",
     "id", "open", "preserveaspectratio", "role", "rowspan", "scope", "tabindex", "text-anchor", "title",
     "viewbox", "width", "x", "x1", "x2", "y", "y1", "y2")
)  # fmt: skip
_SPELLED = {"preserveaspectratio": "preserveAspectRatio", "viewbox": "viewBox"}
"""Attributes of SVG whose case counts; an HTML parser gives them in lower case."""
_VOID = frozenset(("br", "hr", "img", "input", "link", "meta", "wbr"))
_LINK = re.compile(r"#[\w-]*|/view/[^\s\\]*", re.ASCII)
MAX_DEPTH = 60
_MARKS = (
    ("data-row", "row", ""),
    ("data-flag", "flag", ""),
    ("data-status", "status", ""),
    ("data-blame", "blame", ""),
    ("data-reward", "reward", ""),
    ("data-sub", "sort", "sub."),
)
"""What the report marks: the attribute, and what of an address selects, opens or sorts the rows."""


class _Builder(HTMLParser):
    """Builds trees of the elements and attributes that are allowed.

    Args:
        rows: the address of the run's rows; empty for trees without links to rows.
    """

    def __init__(self, rows: str = "") -> None:
        super().__init__(convert_charrefs=True)
        self._rows = rows
        self.found: list[Tree] = []
        self._open: list[tuple[str, list[Tree]]] = []
        self._skipped: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        if tag in _VOID:
            return
        if self._skipped or tag not in ELEMENTS or len(self._open) >= MAX_DEPTH:
            self._skipped.append(tag)
            return
        given = {name: value or "" for name, value in attrs}
        children: list[Tree] = []
        element: list[Any] = [tag, _allowed(given), children]
        address = self._address(given)
        if address and tag == "rect":  # a shape cannot hold a link
            self._add(["a", {"href": address}, [element]])
        else:
            self._add(element)
            if address:
                inner: list[Tree] = []
                children.append(["a", {"href": address}, inner])
                children = inner
        self._open.append((tag, children))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element without content."""
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        if self._skipped:
            if tag == self._skipped[-1]:
                self._skipped.pop()
        elif self._open and self._open[-1][0] == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        """A text."""
        is_margin = data.isspace() and "\n" in data and all(tag != "pre" for tag, _ in self._open)
        if not self._skipped and not is_margin:
            self._add(data)

    def _add(self, tree: Tree) -> None:
        (self._open[-1][1] if self._open else self.found).append(tree)

    def _address(self, given: Mapping[str, str]) -> str:
        """Where an element that the report marks leads; empty for others."""
        for mark, name, prefix in _MARKS if self._rows else ():
            if mark in given:
                return f"{self._rows}?{urlencode({name: prefix + given[mark]})}"
        return ""


def _allowed(given: Mapping[str, str]) -> dict[str, str]:
    return {
        _SPELLED.get(name, name): value
        for name, value in given.items()
        if name in ATTRIBUTES and (name != "href" or _LINK.fullmatch(value))
    }


def trees(html: str, rows: str = "") -> list[Tree]:
    """The elements of a piece of HTML that are allowed, as trees.

    Args:
        html: as a template of the report gives it.
        rows: the address of a run's rows: what the report marks as a row or a flag becomes a link there.
    """
    builder = _Builder(rows)
    builder.feed(html)
    builder.close()
    return builder.found
