"""`graders score`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from graders_engine.blocking import Engine
from graders_engine.cli.parsing.cluster import takes_cluster
from graders_engine.cli.parsing.command import Command
from graders_engine.cli.parsing.engine_options import engine_options
from graders_engine.cli.parsing.flags import percent
from graders_engine.cli.parsing.grader import takes_grader
from graders_engine.cli.parsing.input_files import files_read
from graders_engine.cli.parsing.locations import DATA
from graders_engine.cli.parsing.numbers import GROUP_BY, GROUP_SIZE, PASSING
from graders_engine.cli.parsing.results_place import results_place
from graders_engine.cli.parsing.rows import Named, named_row
from graders_engine.cli.parsing.store import judges_of_store
from graders_engine.cli.request import read_flag
from graders_engine.cli.terminal.failing import FAILED, INTERRUPTED, MISSED, caution, complain, warn
from graders_engine.cli.terminal.printing import STDOUT, format_value, print_lines
from graders_engine.cli.terminal.progress import progress
from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.results.line import lines_of, results_in, row_name
from graders_engine.dataset.results.meta import (
    read_meta,
    record,
    with_sandbox_used,
)
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
from graders_engine.errors import BudgetSpent, InvalidRequest, RunStopped
from graders_engine.report.ended_run import EndedRun
from graders_engine.report.formatting import spending_line
from graders_engine.report.terminal.screen import Screen, screen_of
from graders_engine.urls import Location

_NOT_RESUMED = (
    "With --out - it begins with the first row again: only results in a file are resumed."
)
_PRINTED = (
    "Stopped early; what was graded before is printed. Mend what is wrong and run the command again, or pass "
    f"--keep-going to grade all rows nevertheless. {_NOT_RESUMED}"
)


@click.command(
    "score", cls=Command, example="graders score grader.yaml --data rows.jsonl --out results.jsonl"
)
@takes_grader(required=True)
@click.option(
    "--data",
    metavar="FILE",
    required=True,
    type=DATA,
    help="The rows; - for standard input.",
)
@click.option(
    "--out",
    metavar="FILE",
    required=True,
    type=DATA,
    help="The results: .jsonl, .csv or .parquet; a URL, such as s3://…; or - for standard output.",
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
    "--outputs", metavar="FILE", type=DATA, help="File with the model outputs for the rows."
)
@click.option(
    "--join-on",
    metavar="KEY",
    help="Key that joins rows and outputs (KEY=OTHER). Else Batch lines by custom_id, others by position.",
)
@GROUP_BY
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(1),
    help="Processes that grade (default: one for each core).",
)
@takes_cluster
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
    metavar="ROW",
    callback=named_row,
    help="At the end, show how a row was graded, as `graders explain` does: 19, or 19#5 for a sample.",
)
@PASSING
@GROUP_SIZE
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
@click.option("--quiet", is_flag=True, help="Print no progress and no report.")
@engine_options(use_cache=True)
@judges_of_store
def command(
    engine: Engine,
    grader: str,
    out: Location,
    *,
    passing: float | None,
    group_size: int | None,
    explained: Named | None,
    as_json: bool,
    quiet: bool,
    fail_under: float | None,
    max_invalid: float | None,
    max_failed: float | None,
    **options: Any,
) -> None:
    """Grade every row of a data set, in its order, and print a report.

    A row is {"item": …, "model_sample": "…"} or {"item": …, "sample": {…}}; without "item", what stands
    beside is the item. With --sample-field, the row is the item and one of its fields the model's output.
    Rows with lists of samples, messages, chat completions, responses, lines of the Batch API and rows of the
    hosted evals are also accepted; a grader that reads the item alone needs no output. The data may be JSONL,
    a JSON array, CSV or Parquet. A row that cannot be read counts as invalid and does not stop the others; if
    none of the first rows can be read, nothing is graded.

    To resume an interrupted run, run the same command again. Two files are kept next to OUT: OUT.meta.json
    records the grader, data and settings, and OUT.index.sqlite the lines that have results. An OUT that ends
    in .csv or .parquet is made at the end from the results in OUT.jsonl.

    Both may be URLs that fsspec reads, such as s3://BUCKET/ROWS.jsonl. Data is copied to a temporary file as
    a whole before the first row is graded, in $TMPDIR, and the copy is removed. Results are in a file of the
    current folder until the run is whole, where it is resumed, and are copied to the URL then.

    A run is stopped early if each row of the first 20 prompts fails in the same way, or if a judge refuses
    the key or the model, or is not there: see --keep-going. The same command grades what is left.

    Exit codes: 0 if rows are scored and every limit is kept; 3 if one is not (--fail-under, --max-invalid,
    --max-failed); 1 if nothing is scored, or the run cannot go on; 2 if the request is wrong.

    With --json it prints {"results", "complete", "rows", "scored", "invalid", "failed", "blames", "mean",
    "scored_mean", "hosted_mean", "pass_rate", "sub_rewards", "histogram", "groups", "clamped", "left_out",
    "flags", "settings", "engine", "metrics_core"}. A mean is {"value", "rows"}, or null; "pass_rate" also
    has "passing" and an interval, "low" and "high"; "histogram" is a list of {"low", "high", "rows"};
    "clamped" has, by the grader's key, the number of rows with a judge's number outside its range;
    "left_out", by model and part, that of rows for which a judge was not sent a part of the request; a flag
    is {"rows", "first", "details"}; "metrics_core" is "compiled" or "pure", and changes no value.
    Of prompts with several samples it prints what `graders report --json` does.
    """
    thresholds = Thresholds(fail_under, max_invalid, max_failed)
    if grader == str(options["data"]) == "-":
        raise InvalidRequest("The grader and the rows cannot both come from standard input.")
    if explained and str(options["data"]) == "-":
        raise InvalidRequest(
            "--explain reads the row again, which is impossible with standard input: use a file."
        )
    printed = out == STDOUT
    screen = screen_of(sys.stderr if printed else sys.stdout)
    no_progress = quiet or (printed and sys.stdout.isatty())
    with (
        engine,
        results_place(
            out,
            quiet=quiet,
            overwrite=options["overwrite"],
            inputs=(options["data"], options["outputs"]),
        ) as (place, print_new, send),
        progress(quiet=no_progress) as on_progress,
    ):
        given = read_flag("grader", grader)

        def on_results(done: int, size: int | None, tally: Tally) -> None:
            on_progress(done, size, tally)
            if not options["retry_failed"]:  # which replaces results at the end
                print_new()

        with _way_on_told(engine, printed=printed):
            try:
                tally = score_file(
                    engine, given, out=place, inputs=files_read(), on_progress=on_results,
                    on_note=None if quiet else lambda note: caution(f"note: {note}"), **options
                )  # fmt: skip
            finally:
                print_new()
        compiled = engine.compile(given)
        for misreading in () if quiet else compiled.misreadings():
            warn(misreading)
        settings = with_sandbox_used(engine.reward_settings(compiled), lines_of(place))
        explanation = (
            _explain_row(engine, compiled, options["data"], place, explained, screen)
            if explained
            else ""
        )
        _remember(place, passing=passing, group_size=group_size)
        send()
        report = EndedRun(tally, place, settings) if as_json or not quiet else None
    if report:
        text = format_value(report.json(out), "json") if as_json else report.text(screen)
        click.echo(text, err=printed)
        if not as_json and not printed:
            print_lines([f"results in {out}{'' if out == place else f'; kept here in {place}'}"])
    if explanation:
        click.echo(f"\n{explanation}" if not quiet else explanation, err=printed)
    sentences = [sentence for sentence in (what_was_there(tally), how_to_retry(tally)) if sentence]
    if sentences and not quiet:
        print_lines(sentences, err=as_json or printed)
    sys.exit(exit_code(tally, thresholds))


@contextmanager
def _way_on_told(engine: Engine, *, printed: bool) -> Iterator[None]:
    """Where a run within it ends early, say how to go on; results that are printed cannot be resumed."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as error:
        way_on = "" if printed else " Run the same command again to resume."
        click.echo(f"\nInterrupted.{way_on}", err=True)
        sys.exit(error.code if isinstance(error, SystemExit) else INTERRUPTED)
    except RunStopped as error:
        ways = (_PRINTED if printed else error.way_on, spending_line(engine.spending()))
        raise type(error)(error.reason, "\n".join(filter(None, ways))) from None
    except BudgetSpent as error:
        raise BudgetSpent(f"{error} {_NOT_RESUMED}" if printed else str(error)) from None


def exit_code(tally: Tally, thresholds: Thresholds) -> int:
    """The exit code of a run that has ended; why it is not 0 is printed on standard error."""
    unscored = why_unscored(tally)
    reasons = [unscored] if unscored else list(thresholds.missed(tally))
    if reasons:
        complain(*reasons)
    if unscored:
        return FAILED
    return MISSED if reasons else 0


def _remember(place: Path, **asked: float | None) -> None:
    """Record what the numbers are asked for with, so that `report` gives the same ones."""
    if given := {name: value for name, value in asked.items() if value is not None}:
        record(lines_of(place), report=given)


def _explain_row(
    engine: Engine,
    compiled: CompiledGrader,
    data: Location,
    out: Path,
    named: Named,
    screen: Screen,
) -> str:
    """How a row was graded."""
    from graders_engine.report.explain import explain
    from graders_engine.report.row_texts import find_rows, keys_of
    from graders_engine.report.terminal.explain import explanation_text

    keys = keys_of(named.line, named.sample or 1)
    key, row = next(find_rows(data, read_meta(out), keys), (keys[0], None))
    if row is None:
        raise InvalidRequest(
            f"--explain {row_name(*named)}: {data} has no row on line {row_name(*named)}."
        )
    results = (r for _, r in results_in(lines_of(out)) if (r.line, r.sample) == key)
    recorded = next(results, None)
    explanation = explain(
        engine.settings, compiled.given, row, key.line, sample=key.sample, recorded=recorded
    )
    return explanation_text(explanation, screen)
