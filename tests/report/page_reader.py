"""Reads a report's page: its elements, the cells of its tables, and the rows in its data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any, NamedTuple

VOID = {"meta", "link", "input", "br", "hr", "img"}

ADDRESSES = {
    "src",
    "href",
    "srcset",
    "action",
    "formaction",
    "data",
    "poster",
    "background",
    "xlink:href",
}
"""The attributes of an element that make a browser load something."""
ROW = (
    "name", "kind", "reward", "served", "parts", "seconds", "flags", "item", "sample", "cut", "prompt",
    "answers",
)  # fmt: skip
"""What the values of a row in the page's data are."""


def rows_of(page: str) -> list[dict[str, Any]]:
    """The rows in the page's data, each with the text of its item."""
    (text,) = re.findall(
        '<script type="application/json" id="row-data">(.*?)</script>', page, re.DOTALL
    )
    data = json.loads(text)
    rows = [dict(zip(ROW, values, strict=True)) for values in data["rows"]]
    return [{**row, "item": data["items"][row["item"]]} for row in rows]


class Tag(NamedTuple):
    """A start tag, and the elements that are open around it."""

    name: str
    attributes: dict[str, str]
    around: tuple[str, ...]


class Reader(HTMLParser):
    """Reads a page and checks that every element is closed in its place."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[Tag] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names))
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append(Tag(tag, attributes, tuple(self._open)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def named(self, *names: str) -> Iterator[Tag]:
        return (tag for tag in self.tags if tag.name in names)

    def text(self) -> str:
        return "".join(text for name, text in self.texts if name not in ("style", "script"))


def table_of(page: str, caption: str) -> list[dict[str, str]]:
    """A table's rows: the texts of their cells by label; "" is the cell that names the row."""
    (table,) = (part for part in page.split("<table") if f"<caption>{caption}" in part)
    found = []
    for row in table.split("<tr")[2:]:
        cells = re.findall('data-label="([^"]*)"[^>]*>(.*?)</td>', row, re.DOTALL)
        head = re.search("<th[^>]*>(.*?)</th>", row, re.DOTALL)
        texts = [("", head[1] if head else ""), *cells]
        found.append({label: re.sub("<[^>]*>", "", text) for label, text in texts})
    return found
