"""`graders judge-check`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from graders_engine.blocking import Engine
from graders_engine.cli.options import engine_options
from graders_engine.cli.printing import format_value
from graders_engine.cli.request import read_flag
from graders_engine.dataset.rows.formats import FORMS
from graders_engine.dataset.rows.shapes import NAMES as SHAPES

_FILE = click.Path(path_type=Path)


@click.command("judge-check")
@click.option("--grader", metavar="G", required=True, help="The grader: JSON or YAML, @FILE, or -.")
@click.option(
    "--data", metavar="FILE", required=True, type=_FILE, help="Rows with people's labels."
)
@click.option(
    "--human", metavar="FIELD", required=True, help="The field with them, in the row or its item."
)
@click.option("--passing", metavar="X", type=float, help="Of numbers, the least that passes.")
@click.option("--format", "form", type=click.Choice(FORMS), help="Of --data; as for score.")
@click.option("--shape", type=click.Choice(SHAPES), help="Of the rows; as for score.")
@click.option(
    "--sample-field", metavar="NAME", help="Flat rows: the field with the model's output."
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@engine_options(use_cache=True)
def command(
    engine: Engine,
    grader: str,
    data: Path,
    human: str,
    *,
    passing: float | None,
    as_json: bool,
    **reading: Any,
) -> None:
    """Hold a judge against people's labels, and, with --judge-repeats K, against itself.

    Prints the agreement with its 95 % interval, Cohen's kappa beside a judge that always says the same,
    Krippendorff's alpha and the flip rate over the repeats, and the calibration by bins. A label_model
    grader's labels are compared with people's labels, any other grader's rewards with people's numbers.
    Rows without a label are left out.
    """
    from msgspec import to_builtins

    from graders_engine.dataset.rows.read import open_data
    from graders_engine.dataset.scoring.judge_check import check_judge
    from graders_engine.report.terminal.agreement import render

    with engine:
        compiled = engine.compile(read_flag("grader", grader))
        compiled.require_runnable()
        checked = check_judge(engine, compiled, open_data(data, **reading), human, passing=passing)
    if as_json:
        click.echo(format_value(to_builtins(checked), "json"))
        return
    click.echo(render(checked.agreement))
    if checked.unlabelled:
        click.echo(f"{checked.unlabelled:,} rows without a label of people were left out")
    if checked.failed:
        click.secho(f"{checked.failed:,} rows failed (infrastructure); run it again", fg="yellow")
    for model, usage in checked.usage.items():
        click.echo(f"{model}: {usage.total_tokens:,} tokens")
