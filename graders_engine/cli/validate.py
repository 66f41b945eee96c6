"""`graders validate`."""

from __future__ import annotations

import click

from graders_engine.blocking import Engine
from graders_engine.cli.failing import warn
from graders_engine.cli.options import engine_options
from graders_engine.cli.printing import format_value
from graders_engine.cli.request import read_request


@click.command("validate")
@click.option(
    "--grader", metavar="G", help="The grader: JSON or YAML, @FILE, or - for standard input."
)
@click.option("--api-key", hidden=True, expose_value=False, help="Accepted and ignored.")
@engine_options()
def command(engine: Engine, grader: str | None) -> None:
    """Check a grader without running it.

    Prints {"grader": …} and exits with 0, or prints all mistakes at once and exits with 2.
    """
    request = read_request({"grader": grader}, needed=[("grader",)])
    with engine:
        response = engine.validate(request["grader"])
    for warning in response.warnings:
        warn(warning)
    click.echo(format_value(response.model_dump(), "auto"))
