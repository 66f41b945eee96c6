"""One row: what is recorded of it, how its reward comes about, its texts, its place among others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.rows.identity import item_of
from graders_engine.errors import DataSetError, InvalidRequest, InvalidRow, Mistake
from graders_engine.files import without_paths
from graders_engine.graders.templates import templates_in
from graders_engine.language.scope import Scope
from graders_engine.report.explain import explain_template
from graders_engine.report.provenance import Provenance
from graders_engine.report.row_texts import RowKey
from graders_engine.server.responses import Refused
from graders_engine.view.context import Reply, Request, View
from graders_engine.view.opened import OpenRun
from graders_engine.view.query import Query, parse_query
from graders_engine.view.regrading import Regraded, grader_of
from graders_engine.view.row_parts import again_json, differs, formula_json, judge_json, parts_json
from graders_engine.view.shown_values import as_text, fields_of, item_json, sample_json

MAX_SIBLINGS = 256
"""Samples of a prompt in the strip of a row."""
READ_ONLY = "This page is read only, so it cannot be graded again here."
_NAME = re.compile(r"(\d{1,18})(?:#(\d{1,18}))?")


class RowText(NamedTuple):
    """A row of the data set as far as it can be read.

    Attributes:
        row: as it is graded; None without the data set.
        scope: what templates see of it; None if it has none.
        problem: why there is no row; empty if there is one.
    """

    row: Any = None
    scope: Scope | None = None
    problem: str = ""


def row_answer(view: View, request: Request) -> dict[str, Any]:
    """`GET api/runs/{run}/rows/{row}`."""
    run = view.opened(request)
    return row_json(view, request, run, index_in(run, request), parse_query(request.query))


def grade_answer(view: View, request: Request) -> dict[str, Any]:
    """`POST api/runs/{run}/rows/{row}/grade`."""
    if not isinstance(request.body, dict) or request.body.get("costly") is not True:
        raise InvalidRequest('The body must be {"costly": true}.')
    run = view.opened(request)
    index = index_in(run, request)
    return row_json(view, request, run, index, parse_query(request.query), costly=True)


def text_answer(view: View, request: Request) -> Reply:
    """One whole text of a row: `GET api/runs/{run}/rows/{row}/text?part=…`."""
    run = view.opened(request)
    index = index_in(run, request)
    part = request.parameters.get("part", "")
    text = _part(view, run, index, part)
    name = (
        f"row-{run.name_of(index).replace('#', '-')}-{re.sub(r'[^A-Za-z0-9]+', '-', part)[:60]}.txt"
    )
    return Reply(
        text.encode("utf-8", "backslashreplace"),
        headers={"content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"},
        media_type=b"text/plain; charset=utf-8",
    )


def index_in(run: OpenRun, request: Request) -> int:
    """The index of the row in a request's path.

    Raises:
        Refused: the run has no such row.
    """
    name = request.path["row"]
    match = _NAME.fullmatch(name)
    found = run.index_of(RowKey(int(match[1]), int(match[2] or 0))) if match else None
    if found is None:
        message = f"The run has no row '{name[:40]}'."
        raise Refused(404, Mistake(message, code="not_found"))
    return found


def row_json(
    view: View,
    request: Request,
    run: OpenRun,
    index: int,
    query: Query | None = None,
    *,
    costly: bool = False,
) -> dict[str, Any]:
    """A row as the page shows it.

    Args:
        view: the page.
        request: who asks.
        run: the run.
        index: of the row in the run.
        query: the filter and order in which the row has a previous and a next one.
        costly: whether to grade it again with judges, python and endpoints.
    """
    recorded = run.result(index)
    text = row_text(view, run, index)
    grader = grader_of(run.meta, view.settings)
    if text.problem:
        again = Regraded(why_not="Without the data set, the row cannot be graded again.")
    else:
        again = grader.again(request, text.row, costly=costly)
    outcome = again.outcome
    read_only = view.read_only and bool(again.why_not)
    return {
        "row": recorded.name,
        "line": recorded.line,
        "sample": sample_json(text.row, text.scope),
        "sample_number": recorded.sample,
        "id": _id(text.row, recorded),
        "group": recorded.group,
        **recorded_json(recorded, run.keys),
        "reward": None if recorded.counted is None else recorded.reward,
        "served": recorded.counted,
        "flags": recorded.flags,
        "sub_rewards": recorded.sub_rewards,
        **_place(run, index, query),
        "siblings": _siblings(run, index),
        "parts": [*parts_json(grader, recorded, outcome, text.scope)],
        "formula": formula_json(grader, recorded, outcome),
        "graded": "recorded" if outcome is None else "again",
        "differs": outcome is not None and differs(recorded, outcome),
        "again": None if outcome is None else again_json(outcome),
        "why_recorded": f"{again.why_not} {READ_ONLY}" if read_only else again.why_not,
        "read_only": view.read_only,
        "item": item_json(text.row),
        "judges": [judge_json(call) for call in again.calls],
        "data_problem": text.problem,
    }


def recorded_json(result: ResultLine, keys: Sequence[str]) -> dict[str, Any]:
    """What a table says of a row."""
    return {
        "status": result.status,
        "blame": result.blame,
        "reward": result.counted,
        "sub_rewards": [result.sub_rewards.get(key) for key in keys],
        "flags": list(result.flags),
        "seconds": result.seconds,
    }


def plain_problem(view: View, run: OpenRun, problem: str) -> str:
    """A sentence about a run's data with the names of files alone."""
    return without_paths(Provenance(run.path, run.meta, view.data).without_folders(problem))


def row_text(view: View, run: OpenRun, index: int) -> RowText:
    """The row of the data set behind a result."""
    try:
        row = run.row(index).row
    except DataSetError as error:
        return RowText(problem=plain_problem(view, run, str(error)))
    compiled = grader_of(run.meta, view.settings).compiled
    if compiled is None:
        return RowText(row)
    try:
        return RowText(row, compiled.scope_reader()(row))
    except InvalidRow:  # the flags say why
        return RowText(row)


def _place(run: OpenRun, index: int, query: Query | None) -> dict[str, Any]:
    """Where a row stands among those of a query, and what is beside it there."""
    selection = run.rows(query or Query())
    before, after = selection.neighbours(index)
    return {
        "previous": None if before is None else run.name_of(before),
        "next": None if after is None else run.name_of(after),
        "position": selection.position(index),
        "of": selection.count,
    }


def _siblings(run: OpenRun, index: int) -> list[dict[str, Any]]:
    """All samples of a row's prompt, or those around it; none of a prompt with a single one."""
    rows = run.siblings(index)
    if len(rows) < 2:
        return []
    at = rows.index(index)
    first = max(0, min(at - MAX_SIBLINGS // 2, len(rows) - MAX_SIBLINGS))
    found = [run.result(row) for row in rows[first : first + MAX_SIBLINGS]]
    return [
        {"row": result.name, "reward": result.counted, "status": result.status} for result in found
    ]


def _id(row: Any, recorded: ResultLine) -> str:
    found = dict(fields_of(item_of(row))).get("id")
    if isinstance(found, str | int) and not isinstance(found, bool):
        return str(found)[:200]
    named = recorded.group is not None and recorded.group != str(recorded.line)
    return str(recorded.group)[:200] if named else ""


def _part(view: View, run: OpenRun, index: int, part: str) -> str:
    """A whole text of a row.

    Raises:
        Refused: there is no such text.
    """
    text = row_text(view, run, index)
    if text.problem:
        raise DataSetError(text.problem)
    if part == "sample":
        row = text.row if isinstance(text.row, Mapping) else {}
        given = row.get("sample", row.get("model_sample"))
        return text.scope.output_text if text.scope is not None else as_text(given)
    if part.startswith("item."):
        for name, value in fields_of(item_of(text.row)):
            if name == part.removeprefix("item."):
                return as_text(value)
    compiled = grader_of(run.meta, view.settings).compiled
    if part.startswith("input:") and compiled is not None and text.scope is not None:
        for path, template in templates_in(compiled.spec):
            if path == part.removeprefix("input:"):
                return explain_template(path, template, text.scope).rendered or ""
    message = "There is no such text: name item.NAME, sample or input:PATH."
    raise Refused(404, Mistake(message, "part", "not_found"))
