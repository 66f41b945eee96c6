"""The page of a report of preflight: its sections as trees, and a link from each finding to its rows."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from graders_engine.preflight.findings import Location
from graders_engine.report.html.preflight import preflight_sections
from graders_engine.report.stored_preflight import StoredReport
from graders_engine.view.context import Request, View
from graders_engine.view.findings.files import listed_report, named_file, report_at
from graders_engine.view.folders.runs import RunSource
from graders_engine.view.trees import trees

MAX_FINDINGS, MAX_PLACES = 500, 40
"""Findings on the page, and places of each."""


def report_answer(view: View, request: Request) -> dict[str, Any]:
    """`GET api/preflight?report=…`."""
    source, name = view.source(request), request.parameters.get("report", "")
    path = source.report(name)
    stored = report_at(path)
    links = _Links(source, name, stored)
    sections = [
        {"id": id_, "heading": heading, "tree": ["div", {}, trees(source.plain(html))]}
        for id_, heading, html in preflight_sections(stored, links, MAX_PLACES, MAX_FINDINGS)
    ]
    return {
        **listed_report(name, path),
        "sections": sections,
        "notes": [source.plain(note) for note in links.notes],
    }


def row_address(report: str, file: str, line: int) -> str:
    """The address of a line of a file that a report names."""
    return f"/view/preflight/row?{urlencode({'report': report, 'file': file, 'line': line})}"


class _Links:
    """Where the places of findings lead: to the row in a run over the same data, or to the line itself.

    Args:
        source: knows what was opened.
        report: the name of the report's file, in addresses.
        stored: the report.

    Attributes:
        notes: what to say of files whose lines are not as they were.
    """

    def __init__(self, source: RunSource, report: str, stored: StoredReport) -> None:
        self._report = report
        self.notes: list[str] = []
        self._run_of: dict[str, str] = {}
        for name, given in stored.inputs.items():
            if not given.has_lines:
                continue
            file = named_file(source, report, stored, name)
            if file.problem:
                self.notes.append(file.problem)
            if file.path is not None:
                runs = source.runs_over(file.path) if file.is_same else []
                self._run_of[name] = runs[0] if runs else ""

    def __call__(self, place: Location) -> str:
        """The address of what is at a place; empty for none."""
        run = self._run_of.get(place.file)
        if run is None or place.line < 1:
            return ""
        if run:
            return f"/view/runs/{quote(run, safe='')}/rows/{place.line}"
        return row_address(self._report, place.file, place.line)
