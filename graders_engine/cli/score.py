"""`graders score`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from graders_engine.blocking import Engine
from graders_engine.cli.options import engine_options
from graders_engine.cli.progress import progress
from graders_engine.cli.request import read_flag
from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.results.digest import lines_of, read_meta
from graders_engine.dataset.results.line import results_in
from graders_engine.dataset.rows.formats import FORMS
from graders_engine.dataset.rows.shapes import NAMES as SHAPES
from graders_engine.dataset.scoring.score import score_file
from graders_engine.errors import InvalidRequest
from graders_engine.report.terminal.report import tally_text

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""
_FILE = click.Path(path_type=Path)


@click.command("score")
@click.option("--grader", metavar="G", required=True, help="The grader: JSON or YAML, @FILE, or -.")
@click.option(
    "--data", metavar="FILE", required=True, type=_FILE, help="The rows; - is standard input."
)
@click.option(
    "--out", metavar="FILE", required=True, type=_FILE, help="JSONL results, or .parquet."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    help="Of --data; found out by its name and first bytes when left out, compression always.",
)
@click.option(
    "--shape",
    type=click.Choice(SHAPES),
    help="Of the rows; found out by the first ones when left out.",
)
@click.option(
    "--sample-field",
    metavar="NAME",
    help="Flat rows, or outputs: the field with the model's output.",
)
@click.option(
    "--outputs", metavar="FILE", type=_FILE, help="A file with the model outputs of the rows."
)
@click.option(
    "--join-on",
    metavar="KEY",
    help="Key of rows and outputs (KEY=OTHER); left out, they go in step.",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(1),
    help="Processes that grade; left out, the cores.",
)
@click.option(
    "--backend", type=click.Choice(["local", "ray"]), default="local", help="Where the workers are."
)
@click.option(
    "--ray-address", metavar="A", help="Of the Ray cluster: auto, HOST:PORT, ray://HOST:PORT."
)
@click.option("--overwrite", is_flag=True, help="Begin anew even if --out holds results.")
@click.option("--retry-failed", is_flag=True, help="Try the rows that failed once more.")
@click.option(
    "--explain",
    "explained",
    metavar="LINE",
    type=click.IntRange(1),
    help="At the end, show the row of this line from end to end, as `graders explain` does.",
)
@click.option("--quiet", is_flag=True, help="No progress, no report.")
@engine_options(use_cache=True)
def command(
    engine: Engine, grader: str, out: Path, *, explained: int | None, quiet: bool, **how: Any
) -> None:
    """Grade every row of a data set, in its order, and print a report.

    A row is {"item": …, "model_sample": "…"} or {"item": …, "sample": {…}}; with --sample-field the row is
    flat, and what is not the model's output is the item. Rows with lists of samples, chat completions and
    hosted evals' output items are known, too. The data may be JSONL, a JSON array, CSV or Parquet. A row that
    cannot be read counts as invalid and does not stop the others.

    The same command goes on where an interrupted one stopped. Beside OUT stand OUT.meta.json, which says what
    gave the results, and OUT.index.sqlite, which says from which lines of the data. An OUT that ends in
    .parquet is made at the end from the results in OUT.jsonl.
    """
    if grader == str(how["data"]) == "-":
        raise InvalidRequest("The grader and the rows cannot both come from standard input.")
    if explained and str(how["data"]) == "-":
        raise InvalidRequest(
            "--explain reads the row again, which standard input cannot: use a file."
        )
    with engine, progress(quiet=quiet) as on_progress:
        compiled = engine.compile(read_flag("grader", grader))
        try:
            tally = score_file(engine, compiled, out=out, on_progress=on_progress, **how)
        except KeyboardInterrupt:
            click.echo("\nInterrupted. The same command goes on from here.", err=True)
            sys.exit(INTERRUPTED)
        settings = engine.reward_settings(compiled)
        shown = _shown(engine, compiled, how["data"], out, explained) if explained else ""
    if not quiet:
        click.echo(tally_text(tally, settings))
        click.echo(f"results in {out}")
    if shown:
        click.echo(f"\n{shown}" if not quiet else shown)


def _shown(engine: Engine, compiled: CompiledGrader, data: Path, out: Path, line: int) -> str:
    """The first row of a line from end to end."""
    from graders_engine.report.explain import explain
    from graders_engine.report.row_texts import RowKey, find_rows
    from graders_engine.report.terminal.explain import explanation_text

    row = next((row for _, row in find_rows(data, read_meta(out), [RowKey(line, 0)])), None)
    if row is None:
        raise InvalidRequest(f"--explain {line}: {data} has no row on line {line}.")
    results = (result for _, result in results_in(lines_of(out)) if result.line == line)
    return explanation_text(
        explain(engine.settings, compiled.given, row, line, recorded=next(results, None))
    )
