"""`graders explain`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from graders_engine.blocking import Settings
from graders_engine.cli.options import engine_settings
from graders_engine.cli.request import read_flag
from graders_engine.dataset.results.line import ResultLine, lines_of, results_in
from graders_engine.dataset.results.meta import read_meta
from graders_engine.errors import InvalidRequest
from graders_engine.report.explain import explain
from graders_engine.report.row_texts import data_path, find
from graders_engine.report.terminal.explain import render

_PATH = click.Path(path_type=Path)


@click.command("explain")
@click.argument("results", type=_PATH, required=False)
@click.argument("line", type=click.IntRange(1), required=False)
@click.option("--grader", metavar="G", help="The grader: JSON or YAML, @FILE, or -.")
@click.option(
    "--data", metavar="FILE", type=_PATH, help="The data set; with RESULTS, if it was moved."
)
@click.option("--row", metavar="N", type=click.IntRange(1), help="The row's line in the data set.")
@click.option("--sample", metavar="N", type=click.IntRange(1), default=1, help="Of several, which.")
@click.option(
    "--sample-field", metavar="NAME", help="Flat rows: the field with the model's output."
)
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON.")
@engine_settings(keep_replies=True)
def command(
    settings: Settings,
    results: Path | None,
    line: int | None,
    grader: str | None,
    data: Path | None,
    row: int | None,
    sample: int,
    sample_field: str | None,
    as_json: bool,
) -> None:
    """Grade one row once more and show it from end to end.

    Either `graders explain RESULTS LINE`, with the grader and the data set that gave the results, or
    `graders explain --grader G --data FILE --row N`.

    Shows each template with the values of its variables, the sub-rewards, the formula with the numbers
    put in, what judges were asked and answered, what the python printed, and the flags. The flags that
    set an engine are not kept with results: give them again.
    """
    recorded: ResultLine | None = None
    meta: Mapping[str, Any]
    if results is not None:
        number = _only(line or row, "RESULTS needs a line: graders explain RESULTS LINE.")
        meta = read_meta(results)
        recorded = _recorded(results, (number, sample - 1))
        otherwise = f"{results} does not say which grader gave it: use --grader."
        given = read_flag("grader", grader) if grader else _only(meta.get("grader"), otherwise)
    else:
        number = _only(row, "Give RESULTS and a line, or --grader, --data and --row.")
        given = read_flag("grader", _only(grader, "--row needs the grader: --grader."))
        meta = {"settings": {"sample_field": sample_field}}
    path = data or _only(data_path(meta), "Name the data set with --data.")
    shown = explain(
        settings,
        given,
        _row(path, meta, (number, sample - 1)),
        number,
        sample=sample - 1,
        recorded=recorded,
    )
    click.echo(shown.as_json() if as_json else render(shown))


def _only(value: Any, otherwise: str) -> Any:
    if value is None:
        raise InvalidRequest(otherwise)
    return value


def _row(path: Path, meta: Mapping[str, Any], place: tuple[int, int]) -> Any:
    for _, row in find(path, meta, [place]):
        return row
    which = f", sample {place[1] + 1}" if place[1] else ""
    raise InvalidRequest(f"{path} has no row on line {place[0]}{which}.")


def _recorded(results: Path, place: tuple[int, int]) -> ResultLine:
    for _, result in results_in(lines_of(results)):
        if (result.line, result.sample) == place:
            return result
    which = f", sample {place[1] + 1}" if place[1] else ""
    raise InvalidRequest(f"{results} has no result of line {place[0]}{which}.")
