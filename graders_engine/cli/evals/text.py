"""Evals, runs and their items as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from graders_engine.evals.hosted.names import without_uuid
from graders_engine.evals.run.reading import counts_of, objects_in, output_text, pass_rate
from graders_engine.evals.run.reasons import ERRORED
from graders_engine.evals.thresholds import unreachable
from graders_engine.language import strict_json
from graders_engine.report.formatting import format_number
from graders_engine.report.terminal.screen import Caution, Heading, Problem, Screen
from graders_engine.report.visible import one_line
from graders_engine.report.width import columns_of, padded
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.runs import StoredRun

_STATUS_LINES = {"failed": Problem, "canceled": Caution}
_LEAST_COLUMNS = 12
"""A name is cut to no fewer columns."""
_WHOLE_NAME_CHARS = 200
_NAME_COLUMNS = 40
_FIELD_INDENT = 10


def eval_lines(
    stored: StoredEval, runs: Sequence[StoredRun], more: str, screen: Screen
) -> Iterator[str]:
    """An eval with its runs, a line each.

    Args:
        stored: the eval.
        runs: of them, those to show.
        more: how to see the others; empty if there are none.
        screen: what it is printed on.
    """
    name = one_line(stored.name, screen.columns) if stored.name != stored.id else ""
    if name:
        yield Heading(name)
    criteria = _plural(len(stored.body.get("testing_criteria") or []), "criterion", "criteria")
    yield f"{stored.id}  {_day(stored.created_at)}, {criteria}"
    for run in runs:
        yield from map(_STATUS_LINES.get(run.status, str), _run_lines(run, screen))
    if not runs:
        yield "  no runs"
    if more:
        yield f"  … more: {more}"


def criteria_lines(stored: StoredEval) -> Iterator[str]:
    """The criteria of an eval."""
    criteria = objects_in(stored.body.get("testing_criteria"))
    if criteria:
        yield ""
        yield Heading("criteria")
    names = [one_line(str(one.get("name")), _NAME_COLUMNS) for one in criteria]
    width = max(map(columns_of, names), default=0)
    for name, one in zip(names, criteria, strict=True):
        yield f"  {padded(name, width)}  {one.get('type')}"
    yield from threshold_lines(stored)


def threshold_lines(stored: StoredEval) -> Iterator[Caution]:
    """What is to be known of thresholds that no score can reach."""
    for sentence in unreachable(objects_in(stored.body.get("testing_criteria"))):
        yield Caution(f"warning: the criterion {sentence}")


def _run_lines(run: StoredRun, screen: Screen) -> list[str]:
    """A run on a line, with its name below where it does not fit beside."""
    counts = counts_of(run)
    passed = f"{counts['passed']:,}/{counts['passed'] + counts['failed']:,}"
    errors = f", {_plural(counts['errored'], 'error')}" if counts["errored"] else ""
    line = f"  {run.id}  {run.status:<11}  {_percent(pass_rate(run)):>7}  {passed}{errors}"
    if run.name in ("", run.id):
        return [line]
    room = screen.columns - columns_of(line) - 2
    beside = one_line(run.name, max(room, _LEAST_COLUMNS))
    if columns_of(beside) <= room and beside == one_line(run.name, screen.columns):
        return [f"{line}  {beside}"]
    return [line, f"    {one_line(run.name, _WHOLE_NAME_CHARS)}"]


def run_lines(run: StoredRun, owner: StoredEval | None, screen: Screen) -> Iterator[str]:
    """A run: its state, its counts, what each criterion said, what models were asked."""
    name = one_line(run.name, screen.columns)
    named = run.name not in ("", run.id)
    yield Heading(name if named else run.id)
    if named:
        yield f"run       {run.id}"
    title = "" if owner is None or owner.name == owner.id else f"  {one_line(owner.name, 30)}"
    yield f"eval      {run.eval_id}{title}"
    yield f"created   {_day(run.created_at)}" + (f", model {run.model}" if run.model else "")
    yield _STATUS_LINES.get(run.status, str)(f"status    {run.status}")
    if run.error:
        yield Problem(f"error     {run.error.get('code')}: {run.error.get('message')}")
    counts = counts_of(run)
    yield ""
    yield f"pass rate {_percent(pass_rate(run)):>8}  of {counts['passed'] + counts['failed']:,} graded"
    yield f"passed    {counts['passed']:>8,}"
    yield f"failed    {counts['failed']:>8,}"
    if counts["errored"]:
        yield Caution(f"errored   {counts['errored']:>8,}  {ERRORED}")
    yield from _criteria(run, screen)
    yield from _usage(run)


def _criteria(run: StoredRun, screen: Screen) -> Iterator[str]:
    results = objects_in(run.result.get("per_testing_criteria_results"))
    if not results:
        return
    yield ""
    yield Heading("criteria")
    longest = min(_NAME_COLUMNS, max(screen.columns - 40, _LEAST_COLUMNS))
    names = [one_line(without_uuid(str(one.get("testing_criteria"))), longest) for one in results]
    width = max(map(columns_of, names))
    for name, one in zip(names, results, strict=True):
        passed, failed = (
            value if isinstance(value := one.get(key), int) else 0 for key in ("passed", "failed")
        )
        rate = _percent(passed / (passed + failed) if passed + failed else None)
        yield f"  {padded(name, width)}  {rate:>7}  {passed:,} passed, {failed:,} failed"


def _usage(run: StoredRun) -> Iterator[str]:
    used = objects_in(run.result.get("per_model_usage"))
    if used:
        yield ""
        yield Heading("models")
    for one in used:
        yield (
            f"  {one.get('model_name') or one.get('run_model_name')}  "
            f"{_plural(one.get('invocation_count') or 0, 'answer')}, "
            f"{_plural(one.get('total_tokens') or 0, 'token')}"
        )


def item_lines(items: Sequence[Mapping[str, Any]], more: str, screen: Screen) -> Iterator[str]:
    """Items that did not pass.

    Args:
        items: as they are on the wire.
        more: how to see others; empty if there are none.
        screen: what it is printed on.
    """
    if items:
        yield ""
        yield Heading("items that did not pass")
    room = screen.columns - _FIELD_INDENT
    for item in items:
        number = item.get("datasource_item_id")
        item_text = strict_json.encode(item.get("datasource_item")).decode()
        yield f"{number!s:<8}  {one_line(item_text, room)}"
        sample = item.get("sample")
        sample = sample if isinstance(sample, dict) else {}
        if output := output_text(sample):
            yield f"  output  {one_line(output, room)}"
        error = sample.get("error")
        if isinstance(error, dict) and error:
            yield Problem(f"  error   {one_line(_error(error), room)}")
        for result in objects_in(item.get("results")):
            if not result.get("passed"):
                name, score = without_uuid(str(result.get("name"))), result.get("score")
                number = format_number(score) if isinstance(score, int | float) else "no score"
                yield f"  failed  {one_line(f'{name}: {number}', room)}"
    if more:
        yield f"… more: {more}"


def _error(error: Mapping[str, Any]) -> str:
    return ": ".join(str(error[key]) for key in ("code", "message") if error.get(key))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def _day(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):  # a time that no calendar has
        return str(seconds)
