"""`graders judge-check`."""

from __future__ import annotations

from typing import Any

import click

from graders_engine.blocking import Engine
from graders_engine.cli.parsing.command import Command
from graders_engine.cli.parsing.engine_options import engine_options
from graders_engine.cli.parsing.grader import takes_grader
from graders_engine.cli.parsing.input_files import keep_inputs
from graders_engine.cli.parsing.locations import DATA
from graders_engine.cli.request import read_flag
from graders_engine.cli.terminal.printing import format_value, print_lines
from graders_engine.dataset.rows.formats import FORMS
from graders_engine.dataset.rows.shapes import NAMES as SHAPES
from graders_engine.urls import Location


@click.command(
    "judge-check",
    cls=Command,
    example="graders judge-check grader.yaml --data rows.jsonl --human label",
)
@takes_grader(required=True)
@click.option("--data", metavar="FILE", required=True, type=DATA, help="Rows with human labels.")
@click.option(
    "--human",
    metavar="FIELD",
    required=True,
    help="Field with the human label, in the row or in its item.",
)
@click.option(
    "--passing", metavar="X", type=float, help="Lowest number that passes, for numeric labels."
)
@click.option(
    "--format", "form", type=click.Choice(FORMS), help="Format of --data; as for `graders score`."
)
@click.option(
    "--shape", type=click.Choice(SHAPES), help="Shape of the rows; as for `graders score`."
)
@click.option(
    "--sample-field", metavar="NAME", help="Field with the model output, if rows are flat."
)
@click.option("--json", "as_json", is_flag=True, help="Print the numbers as JSON.")
@engine_options(use_cache=True)
def command(
    engine: Engine,
    grader: str,
    data: Location,
    human: str,
    *,
    passing: float | None,
    as_json: bool,
    **reading: Any,
) -> None:
    """Measure a judge's agreement with human labels and with itself.

    Prints the agreement with its 95 % interval, Cohen's kappa, the same for a judge that always gives the
    same answer, and the calibration by bins; with --judge-repeats K also how often repeated answers differ
    and Krippendorff's alpha. The labels of a label_model grader are compared with human labels, the rewards
    of any other grader with human numbers. Rows without a human label are left out.

    Exit codes: 0 if answers and labels were compared; 1 if there were none to compare; 2 if the request is
    wrong.
    """
    from msgspec import to_builtins

    from graders_engine.dataset.rows.read import open_data
    from graders_engine.dataset.scoring.judge_check import check_judge
    from graders_engine.report.formatting import format_rows
    from graders_engine.report.terminal.agreement import agreement_lines
    from graders_engine.report.terminal.screen import Problem

    with engine:
        given = read_flag("grader", grader)
        keep_inputs(engine.settings, data)
        compiled = engine.compile(given)
        compiled.require_runnable()
        reading["outputs_needed"] = compiled.reads_sample
        reading["items_alone"] = not compiled.reads_sample
        checked = check_judge(engine, compiled, open_data(data, **reading), human, passing=passing)
    if as_json:
        click.echo(format_value(to_builtins(checked), "json"))
        return
    lines = agreement_lines(checked.agreement)
    if checked.unlabelled:
        lines.append(f"{format_rows(checked.unlabelled)} without a human label were left out")
    if checked.failed:
        failed = f"{format_rows(checked.failed)} failed (infrastructure)"
        lines.append(Problem(f"{failed}; run the command again"))
    print_lines(
        [*lines, *(f"{m}: {used.total_tokens:,} tokens" for m, used in checked.usage.items())]
    )
