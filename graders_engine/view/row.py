"""One row: what is recorded of it, how its reward comes about, its texts, its place among others."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.rows.identity import item_of
from graders_engine.errors import DataSetError, InvalidRequest, InvalidRow, Mistake
from graders_engine.graders.base import GraderSpec
from graders_engine.graders.templates import templates_in
from graders_engine.language.scope import Scope
from graders_engine.models.base import TextPart
from graders_engine.outcome import RowOutcome
from graders_engine.report.explain import (
    ExplainedTemplate,
    JudgeCall,
    explain_formula,
    explain_template,
)
from graders_engine.report.provenance import Provenance
from graders_engine.report.row_texts import RowKey
from graders_engine.server.responses import Refused
from graders_engine.view.context import Reply, Request, View
from graders_engine.view.opened import OpenRun
from graders_engine.view.query import Query, parse_query
from graders_engine.view.regrading import Regraded, RunGrader, grader_of
from graders_engine.view.shown_values import as_text, cut, fields_of, item_json, sample_json

MAX_SIBLINGS = 256
"""Samples of a prompt in the strip of a row."""
_NAME = re.compile(r"(\d{1,18})(?:#(\d{1,18}))?")
_MESSAGE = re.compile(r"input\[(\d+)\](?:\.content)?(?:\[(\d+)\])?(?:\.\w+)?")


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
        again = grader.again(request, text.row, text.scope, costly=costly)
    outcome = again.outcome
    return {
        "row": recorded.name,
        "line": recorded.line,
        "sample": sample_json(text.row, text.scope),
        "sample_number": recorded.sample,
        "id": _id(text.row, recorded),
        "group": recorded.group,
        **recorded_json(recorded, run.keys),
        "reward": recorded.reward,
        "served": served(recorded),
        "flags": recorded.flags,
        "sub_rewards": recorded.sub_rewards,
        **_place(run, index, query),
        "siblings": _siblings(run, index),
        "parts": [*_parts(grader, recorded, outcome, text.scope)],
        "formula": _formula(grader, recorded, outcome),
        "graded": "recorded" if outcome is None else "again",
        "differs": outcome is not None and _differs(recorded, outcome),
        "again": None if outcome is None else _again(outcome),
        "why_recorded": again.why_not,
        "item": item_json(text.row),
        "judges": [_judge(call) for call in again.calls],
        "data_problem": text.problem,
    }


def served(result: ResultLine) -> float | None:
    """The reward as the hosted API serves it; None for a failed row."""
    if result.status == "scored":
        return result.reward
    return None if result.status == "failed" else (result.served or 0.0)


def recorded_json(result: ResultLine, keys: Sequence[str]) -> dict[str, Any]:
    """What a table says of a row."""
    return {
        "status": result.status,
        "blame": result.blame,
        "reward": served(result),
        "sub_rewards": [result.sub_rewards.get(key) for key in keys],
        "flags": list(result.flags),
        "seconds": result.seconds,
    }


def plain_problem(view: View, run: OpenRun, problem: str) -> str:
    """A sentence about a run's data with the names of files alone."""
    return Provenance(run.path, run.meta, view.data).without_folders(problem)


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
        {"row": result.name, "reward": served(result), "status": result.status} for result in found
    ]


def _id(row: Any, recorded: ResultLine) -> str:
    found = dict(fields_of(item_of(row))).get("id")
    if isinstance(found, str | int) and not isinstance(found, bool):
        return str(found)[:200]
    named = recorded.group is not None and recorded.group != str(recorded.line)
    return str(recorded.group)[:200] if named else ""


def _leaves(spec: GraderSpec) -> Iterator[tuple[str, str, GraderSpec]]:
    """The graders that read texts, each with its key and what its templates' paths begin with."""
    parts = spec.parts()
    if not parts:
        yield "", "", spec
    for key, part in parts.items():
        yield key, f"graders.{key}", part


def _parts(
    grader: RunGrader, recorded: ResultLine, outcome: RowOutcome | None, scope: Scope | None
) -> Iterator[dict[str, Any]]:
    """Each grader with the texts that it read and what came of them."""
    if grader.compiled is None:
        for key, reward in recorded.sub_rewards.items():
            yield {**_empty_part(key, "", reward), **_answers(key, recorded, None)}
        return
    rewards = recorded.sub_rewards if outcome is None else outcome.sub_rewards
    alone = recorded.reward if outcome is None else outcome.reward
    for key, path, spec in _leaves(grader.compiled.spec):
        reward = rewards.get(key) if path else alone
        templates = templates_in(spec, path)
        yield {
            **_empty_part(key, getattr(spec, "type", ""), reward),
            "shown": []
            if scope is None
            else [_shown(explain_template(at, one, scope), path) for at, one in templates],
            **_answers(key, recorded, outcome),
        }


def _empty_part(key: str, type_: str, reward: float | None) -> dict[str, Any]:
    return {"key": key, "type": type_, "reward": reward, "shown": []}


def _shown(template: ExplainedTemplate, prefix: str) -> dict[str, Any]:
    rendered = template.rendered
    return {
        "label": _label(template.path.removeprefix(prefix).lstrip(".")),
        "path": template.path,
        "source": cut(template.source)["text"],
        "rendered": None if rendered is None else cut(rendered)["text"],
        "problem": template.problem,
        "chars": 0 if rendered is None else len(rendered),
    }


def _label(path: str) -> str:
    """What a template is called: "input", or "message 1" of a judge's."""
    match = _MESSAGE.fullmatch(path)
    if match is None:
        return path
    part = f", part {int(match[2]) + 1}" if match[2] else ""
    return f"message {int(match[1]) + 1}{part}"


def _answers(key: str, recorded: ResultLine, outcome: RowOutcome | None) -> dict[str, Any]:
    """What a judge answered and what python printed."""
    graded = outcome.outcome if outcome else None
    repeats, labels, clamped = (
        (recorded.repeats, recorded.labels, recorded.clamped)
        if graded is None
        else (graded.repeats, graded.labels, graded.clamped)
    )
    names = [f"{key}.{name}" if key else name for name in ("stdout", "stderr")]
    printed = [graded.printed[name] for name in names if graded and graded.printed.get(name)]
    return {
        "answers": repeats.get(key, []),
        "labels": labels.get(key, []),
        "clamped": clamped.get(key),
        "printed": cut("\n".join(printed))["text"],
    }


def _formula(
    grader: RunGrader, recorded: ResultLine, outcome: RowOutcome | None
) -> dict[str, Any] | None:
    """A multi's formula with the sub-rewards put in."""
    formula = getattr(grader.compiled.spec, "calculate_output", None) if grader.compiled else None
    rewards = recorded.sub_rewards if outcome is None else outcome.sub_rewards
    if formula is None or not rewards or not set(formula.names) <= set(rewards):
        return None
    found = explain_formula(formula, rewards)
    value = found.value if found.value is None or math.isfinite(found.value) else None
    return {
        "source": found.source,
        "filled": found.filled,
        "value": value,
        "problem": found.problem,
    }


def _again(outcome: RowOutcome) -> dict[str, Any]:
    return {
        "reward": outcome.reward,
        "served": outcome.served,
        "status": outcome.status,
        "sub_rewards": outcome.sub_rewards,
        "flags": outcome.flags,
    }


def _differs(recorded: ResultLine, outcome: RowOutcome) -> bool:
    """Whether a row graded again has another result than the one that is recorded."""
    now = outcome.status, outcome.reward, outcome.sub_rewards
    return now != (recorded.status, recorded.reward, recorded.sub_rewards)


def _judge(call: JudgeCall) -> dict[str, Any]:
    reply = call.reply
    answer = "" if reply is None else reply.text or (reply.refusal or "")
    return {
        "model": call.request.model if reply is None else reply.model,
        "messages": [
            {
                "role": message.role,
                "text": cut(
                    "\n".join(
                        part.text if isinstance(part, TextPart) else "(no text)"
                        for part in message.parts
                    )
                )["text"],
            }
            for message in call.request.messages
        ],
        "reply": cut(answer)["text"],
        "tokens": 0 if reply is None else reply.usage.total_tokens,
        "problem": call.problem,
    }


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
