"""`graders score`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from graders_engine.blocking import Engine
from graders_engine.cli.failing import FAILED, INTERRUPTED, MISSED
from graders_engine.cli.flags import percent
from graders_engine.cli.options import engine_options
from graders_engine.cli.printing import format_value
from graders_engine.cli.progress import progress
from graders_engine.cli.request import files_read, read_flag
from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.results.line import lines_of, results_in
from graders_engine.dataset.results.meta import read_meta
from graders_engine.dataset.results.tally import Tally
from graders_engine.dataset.rows.formats import FORMS
from graders_engine.dataset.rows.shapes import NAMES as SHAPES
from graders_engine.dataset.scoring.ending import (
    Thresholds,
    how_to_retry,
    what_was_there,
    why_unscored,
)
from graders_engine.dataset.scoring.score import score_file
from graders_engine.errors import InvalidRequest
from graders_engine.report.run_json import numbers_json, tally_json
from graders_engine.report.terminal.report import numbers_text, tally_text
from graders_engine.report.visible import visible
from graders_engine.version import __version__

_FILE = click.Path(path_type=Path)


@click.command("score")
@click.option("--grader", metavar="G", required=True, help="The grader: JSON or YAML, @FILE, or -.")
@click.option(
    "--data", metavar="FILE", required=True, type=_FILE, help="The rows; - for standard input."
)
@click.option(
    "--out",
    metavar="FILE",
    required=True,
    type=_FILE,
    help="The results: JSONL, or .parquet.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    help="Format of --data (default: from its name and first bytes; compression is always detected).",
)
@click.option(
    "--shape",
    type=click.Choice(SHAPES),
    help="Shape of the rows (default: detected from the first rows).",
)
@click.option(
    "--sample-field",
    metavar="NAME",
    help="Field with the model's output, in flat rows or in --outputs.",
)
@click.option(
    "--outputs", metavar="FILE", type=_FILE, help="File with the model outputs for the rows."
)
@click.option(
    "--join-on",
    metavar="KEY",
    help="Key that joins rows and outputs (KEY=OTHER); without it they are paired by position.",
)
@click.option(
    "--group-by",
    metavar="PATH",
    help="Path to what samples of one prompt share: item.id, a column, or `item` for equal items.",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(1),
    help="Processes that grade (default: one for each core).",
)
@click.option(
    "--backend", type=click.Choice(["local", "ray"]), default="local", help="Where the workers run."
)
@click.option(
    "--ray-address",
    metavar="A",
    help="Address of the Ray cluster: auto, HOST:PORT, ray://HOST:PORT.",
)
@click.option("--overwrite", is_flag=True, help="Start over even if --out holds results.")
@click.option("--retry-failed", is_flag=True, help="At the end, retry the rows that failed.")
@click.option(
    "--fail-under",
    metavar="X",
    type=float,
    help="Exit with code 3 if the mean reward is lower.",
)
@click.option(
    "--max-invalid",
    metavar="P%",
    type=percent,
    help="Exit with code 3 if a larger share of the rows is invalid.",
)
@click.option(
    "--max-failed",
    metavar="P%",
    type=percent,
    help="Exit with code 3 if a larger share of the rows failed.",
)
@click.option(
    "--keep-going",
    is_flag=True,
    help="Grade every row, even if each one so far failed in the same way, or the judge is not there.",
)
@click.option(
    "--explain",
    "explained",
    metavar="LINE",
    type=click.IntRange(1),
    help="At the end, show how the row on this line was graded, as `graders explain` does.",
)
@click.option(
    "--passing",
    metavar="X",
    type=float,
    help="Lowest reward with which a row passes (default: the grader's pass_threshold).",
)
@click.option(
    "--group-size",
    metavar="N",
    type=click.IntRange(2),
    default=8,
    help="Samples of a group in training, of which the report says how often they differ (default: 8).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
@click.option("--quiet", is_flag=True, help="Print no progress and no report.")
@engine_options(use_cache=True)
def command(
    engine: Engine,
    grader: str,
    out: Path,
    *,
    passing: float | None,
    group_size: int,
    explained: int | None,
    as_json: bool,
    quiet: bool,
    fail_under: float | None,
    max_invalid: float | None,
    max_failed: float | None,
    **options: Any,
) -> None:
    """Grade every row of a data set, in its order, and print a report.

    A row is {"item": …, "model_sample": "…"} or {"item": …, "sample": {…}}. With --sample-field, rows are
    flat: all fields but the model's output are the item. Rows with lists of samples, chat completions and
    output items of the hosted evals are also accepted. The data may be JSONL, a JSON array, CSV or Parquet. A
    row that cannot be read counts as invalid and does not stop the others.

    To resume an interrupted run, run the same command again. Two files are kept next to OUT: OUT.meta.json
    records the grader, data and settings, and OUT.index.sqlite the lines that have results. An OUT that ends
    in .parquet is made at the end from the results in OUT.jsonl.

    A run is stopped early if each of the first 20 rows fails in the same way, or if a judge refuses the key
    or the model, or is not there: see --keep-going. What is left can be graded by the same command.

    Exit codes: 0 if rows are scored and every limit is kept; 3 if one is not (--fail-under, --max-invalid,
    --max-failed); 1 if nothing is scored, or the run cannot go on; 2 if the request is wrong.
    """
    thresholds = Thresholds(fail_under, max_invalid, max_failed)
    if grader == str(options["data"]) == "-":
        raise InvalidRequest("The grader and the rows cannot both come from standard input.")
    if explained and str(options["data"]) == "-":
        raise InvalidRequest(
            "--explain reads the row again, which is impossible with standard input: use a file."
        )
    with engine, progress(quiet=quiet) as on_progress:
        given = read_flag("grader", grader)
        try:
            tally = score_file(
                engine, given, out=out, inputs=files_read(), on_progress=on_progress, **options
            )
        except (KeyboardInterrupt, SystemExit) as error:
            click.echo("\nInterrupted. Run the same command again to resume.", err=True)
            sys.exit(error.code if isinstance(error, SystemExit) else INTERRUPTED)
        compiled = engine.compile(given)
        settings = engine.reward_settings(compiled)
        explanation = (
            _explain_line(engine, compiled, options["data"], out, explained) if explained else ""
        )
    if as_json:
        report = _Report(tally, out, settings, compiled.given, passing, group_size)
        click.echo(format_value(report.json(), "json"))
    elif not quiet:
        report = _Report(tally, out, settings, compiled.given, passing, group_size)
        click.echo(report.text())
        click.echo(visible(f"results in {out}"))
    if explanation:
        click.echo(f"\n{explanation}" if not quiet else explanation)
    for remark in (what_was_there(tally), how_to_retry(tally)):
        if remark and not quiet:
            click.echo(remark, err=as_json)
    sys.exit(exit_code(tally, thresholds))


def exit_code(tally: Tally, thresholds: Thresholds) -> int:
    """The exit code of a run that has ended; why it is not 0 is printed on standard error."""
    unscored = why_unscored(tally)
    reasons = [unscored] if unscored else list(thresholds.missed(tally))
    for reason in reasons:
        click.secho(reason, err=True, fg="red")
    if unscored:
        return FAILED
    return MISSED if reasons else 0


class _Report:
    """The numbers of a run that has just ended.

    Those of groups, and of very many different rewards, are read again from the results.
    """

    def __init__(
        self,
        tally: Tally,
        out: Path,
        settings: Mapping[str, Any],
        grader: Any,
        passing: float | None,
        group_size: int,
    ) -> None:
        self._tally, self._out, self._settings = tally, out, settings
        self._numbers = self._pass_rate = None
        if passing is None:
            passing = grader.get("pass_threshold")
        if tally.grouped or tally.reward_counts is None:
            from graders_engine.dataset.results.digest import digest
            from graders_engine.report.numbers import numbers_of  # imports numpy

            self._numbers = numbers_of(digest(out), read_meta(out), passing, group_size)
        elif passing is not None:
            from graders_engine.report.numbers import pass_rate_of

            self._pass_rate = pass_rate_of(tally, passing)

    def text(self) -> str:
        if self._numbers:
            return numbers_text(self._numbers, self._settings)
        return tally_text(self._tally, self._settings, self._pass_rate)

    def json(self) -> dict[str, Any]:
        if self._numbers:
            return numbers_json(self._numbers, self._out, self._settings, __version__)
        return tally_json(self._tally, self._out, self._settings, self._pass_rate)


def _explain_line(
    engine: Engine, compiled: CompiledGrader, data: Path, out: Path, line: int
) -> str:
    """How the first row of a line was graded."""
    from graders_engine.report.explain import explain
    from graders_engine.report.row_texts import find_rows, keys_of
    from graders_engine.report.terminal.explain import explanation_text

    row = next((row for _, row in find_rows(data, read_meta(out), keys_of(line))), None)
    if row is None:
        raise InvalidRequest(f"--explain {line}: {data} has no row on line {line}.")
    results = (result for _, result in results_in(lines_of(out)) if result.line == line)
    return explanation_text(
        explain(engine.settings, compiled.given, row, line, recorded=next(results, None))
    )
