"""`graders explain`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from graders_engine.cli.parsing.command import Command
from graders_engine.cli.parsing.engine_options import engine_settings
from graders_engine.cli.parsing.input_files import keep_inputs
from graders_engine.cli.parsing.locations import DATA, RESULTS
from graders_engine.cli.parsing.rows import Named, named_row
from graders_engine.cli.request import read_flag
from graders_engine.dataset.results.companions import results_files
from graders_engine.dataset.results.data import data_path
from graders_engine.dataset.results.line import ResultLine, lines_of, results_in, row_name
from graders_engine.dataset.results.meta import read_meta
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.report.explain import explain
from graders_engine.report.row_texts import RowKey, find_counted, keys_of, with_moved
from graders_engine.report.terminal.explain import explanation_text
from graders_engine.report.terminal.screen import screen_of
from graders_engine.settings import EngineSettings
from graders_engine.urls import Location


@click.command(
    "explain",
    cls=Command,
    example="graders explain results.jsonl 19\ngraders explain results.jsonl 19#5",
)
@click.argument("results", type=RESULTS, required=False)
@click.argument("line", callback=named_row, required=False)
@click.option("--grader", metavar="G", help="The grader: JSON or YAML, @FILE, or -.")
@click.option(
    "--data",
    metavar="FILE",
    type=DATA,
    help="The data set; with RESULTS only if it was moved or is at a URL.",
)
@click.option(
    "--row",
    metavar="ROW",
    callback=named_row,
    help="The row: its line in the data set, or LINE#SAMPLE.",
)
@click.option(
    "--sample",
    metavar="N",
    type=click.IntRange(1),
    help="Which of the line's samples, as LINE#SAMPLE says, too (default: 1).",
)
@click.option(
    "--sample-field", metavar="NAME", help="Field with the model output, if rows are flat."
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole explanation as JSON.")
@engine_settings(use_cache=True)
def command(
    settings: EngineSettings,
    results: Path | None,
    line: Named | None,
    grader: str | None,
    data: Location | None,
    row: Named | None,
    sample: int | None,
    sample_field: str | None,
    as_json: bool,
) -> None:
    """Grade one row again and show it from end to end.

    Use either `graders explain RESULTS LINE`, which takes the grader and the data set from the results, or
    `graders explain --grader G --data FILE --row LINE`. LINE#SAMPLE, such as 19#5, is one of several samples.

    Shows each template with the values of its variables, the sub-rewards, the formula with the numbers
    filled in, the requests to judges and their replies, what python graders printed, and the flags. Options
    of the engine are not stored with the results: pass the same ones again.
    """
    recorded: ResultLine | None = None
    meta: Mapping[str, Any]
    if results is not None:
        named = _require(line or row, "RESULTS needs a line: graders explain RESULTS LINE.")
        number, nth = _numbers(named, sample)
        meta = read_meta(results)
        if recorded_templates := meta.get("settings", {}).get("templates"):
            settings = replace(settings, templates=recorded_templates)
        recorded = _find_result(results, keys_of(number, nth))
        unknown = f"The grader that produced {results} is not known: pass it with --grader."
        source = read_flag("grader", grader) if grader else _require(meta.get("grader"), unknown)
    else:
        named = _require(row, "Pass RESULTS and a line, or --grader, --data and --row.")
        number, nth = _numbers(named, sample)
        source = read_flag("grader", _require(grader, "--row needs the grader: pass --grader."))
        meta = {"settings": {"sample_field": sample_field}}
    path = data or _require(data_path(meta), "Pass the data set with --data.")
    keep_inputs(settings, path, *(() if results is None else results_files(results)))
    try:
        key, raw, samples = _find_row(path, meta, keys_of(number, nth), results)
    except DataSetError as error:
        raise error if data else DataSetError(with_moved(error)) from None
    explanation = explain(
        settings,
        source,
        raw,
        key.line,
        sample=key.sample,
        samples=samples,
        recorded=recorded,
    )
    click.echo(
        explanation.as_json() if as_json else explanation_text(explanation, screen_of(sys.stdout))
    )


def _require(value: Any, message: str) -> Any:
    """The value; without one the request is refused with this message."""
    if value is None:
        raise InvalidRequest(message)
    return value


def _numbers(named: Named, sample: int | None) -> tuple[int, int]:
    """The line and the number of the sample that a name and `--sample` give.

    Raises:
        InvalidRequest: they contradict each other.
    """
    if sample and named.sample and sample != named.sample:
        raise InvalidRequest(f"{row_name(*named)} and --sample {sample} are different samples.")
    return named.line, named.sample or sample or 1


def _find_row(
    path: Location, meta: Mapping[str, Any], keys: list[RowKey], results: Path | None
) -> tuple[RowKey, Any, int]:
    for found in find_counted(path, meta, keys, results):
        return found
    raise InvalidRequest(f"{path} has no row on line {row_name(*keys[-1])}.")


def _find_result(results: Path, keys: list[RowKey]) -> ResultLine:
    for _, result in results_in(lines_of(results)):
        if (result.line, result.sample) in keys:
            return result
    raise InvalidRequest(f"{results} has no result for line {row_name(*keys[-1])}.")
