"""The overview of a run: its figures as JSON, and the report's sections as trees that a page builds from.

The sections are those of `graders report`, from the same templates: a figure cannot differ between the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, urlencode

from graders_engine.dataset.results.digest import digest
from graders_engine.errors import DataSetError
from graders_engine.report.html.page import report_sections
from graders_engine.report.numbers import Numbers, numbers_of
from graders_engine.report.provenance import Provenance
from graders_engine.report.row_texts import texts_of
from graders_engine.report.run_json import numbers_json
from graders_engine.view.context import Request, View
from graders_engine.view.opened import OpenRun
from graders_engine.view.regrading import grader_of

Tree = str | list[Any]
"""A text, or an element: [name, {attribute: value}, [trees]]."""
ELEMENTS = frozenset(
    ("a", "b", "caption", "code", "dd", "del", "desc", "details", "div", "dl", "dt", "em", "figcaption",
     "figure", "g", "h2", "h3", "ins", "kbd", "li", "line", "ol", "p", "path", "pre", "rect", "section",
     "small", "span", "strong", "summary", "svg", "table", "tbody", "td", "text", "th", "thead", "title",
     "tr", "ul")
)  # fmt: skip
"""Elements of a tree; others are left out with what is in them."""
ATTRIBUTES = frozenset(
    ("aria-label", "aria-labelledby", "class", "colspan", "d", "data-label", "dir", "dy", "height", "href",
     "id", "open", "preserveaspectratio", "role", "rowspan", "scope", "tabindex", "text-anchor", "title",
     "viewbox", "width", "x", "x1", "x2", "y", "y1", "y2")
)  # fmt: skip
_SPELLED = {"preserveaspectratio": "preserveAspectRatio", "viewbox": "viewBox"}
"""Attributes of SVG whose case counts; an HTML parser gives them in lower case."""
_VOID = frozenset(("br", "hr", "img", "input", "link", "meta", "wbr"))
_LINK = re.compile(r"#[\w-]*|/view/[^\s\\]*", re.ASCII)
MAX_DEPTH = 60


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
        self._add(element)
        if address := self._address(given):
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
        if not self._skipped and data:
            self._add(data)

    def _add(self, tree: Tree) -> None:
        (self._open[-1][1] if self._open else self.found).append(tree)

    def _address(self, given: Mapping[str, str]) -> str:
        """Where an element that the report marks leads; empty for others."""
        if not self._rows:
            return ""
        if name := given.get("data-row"):
            return f"{self._rows}?{urlencode({'row': name})}"
        if flag := given.get("data-flag"):
            return f"{self._rows}?{urlencode({'flag': flag})}"
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
    return [tree for tree in builder.found if not (isinstance(tree, str) and tree.isspace())]


def rows_address(run: str) -> str:
    """The address of a run's rows."""
    return f"/view/runs/{quote(run, safe='')}/rows"


def overview_answer(view: View, request: Request) -> dict[str, Any]:
    """`GET api/runs/{run}`."""
    run = view.opened(request)
    run_id = request.path["run"]
    meta = dict(run.meta)
    numbers = numbers_of(digest(run.path), meta)
    provenance = Provenance(run.path, meta, view.data)
    grader = grader_of(meta, view.settings)
    needs = grader.needs
    return {
        "run": view.source(request).run_json(run_id),
        "keys": run.keys,
        "flags": run.flags,
        "grouped": run.grouped,
        "unit": "samples" if run.grouped else "rows",
        "samples_per_prompt": _samples_per_prompt(numbers),
        "numbers": {**numbers_json(numbers, provenance), "results": run_id},
        "sections": [*_sections(view, run, run_id, numbers, provenance)],
        "data": {"path": provenance.data, "problem": _data_problem(run, provenance)},
        "needs": {"judge": needs.judge, "python": needs.python, "endpoint": needs.endpoint},
        "grader": provenance.grader or None,
        "grader_problem": grader.problem,
    }


def _sections(
    view: View, run: OpenRun, run_id: str, numbers: Numbers, provenance: Provenance
) -> Iterator[dict[str, Any]]:
    texts = texts_of(numbers.digest.extremes(), run.meta, view.data, file=run.path)
    for section, html in report_sections(numbers, provenance, texts):
        tree = ["div", {}, trees(html, rows_address(run_id))]
        yield {"id": section.id, "heading": section.heading, "tree": tree}


def _samples_per_prompt(numbers: Numbers) -> int | None:
    return numbers.groups.sizes[1] if numbers.groups else None


def _data_problem(run: OpenRun, provenance: Provenance) -> str:
    try:
        problem = run.data_problem
    except DataSetError as error:
        problem = str(error)
    return provenance.without_folders(problem)
