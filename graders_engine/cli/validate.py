"""`graders validate`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from graders_engine.blocking import Engine
from graders_engine.cli.parsing.command import Command
from graders_engine.cli.parsing.engine_options import engine_options
from graders_engine.cli.parsing.grader import takes_grader
from graders_engine.cli.parsing.locations import DATA
from graders_engine.cli.request import read_request
from graders_engine.cli.terminal.failing import FAILED, WRONG_REQUEST, warn
from graders_engine.cli.terminal.printing import format_value
from graders_engine.dataset.rows.formats import FORMS
from graders_engine.dataset.rows.shapes import NAMES as SHAPES
from graders_engine.errors import InvalidGrader, InvalidRequest, Mistake
from graders_engine.urls import Location

if TYPE_CHECKING:
    from graders_engine.dataset.rows.paths import CheckedPaths


_USEFUL = (
    "metric_variants",
    "embeddings",
    "templates",
    "sandbox",
    "python_isolation",
    "trust_source",
    "base_url",
    "judge_model",
    "models",
    "config",
)
"""The flags of an engine that change whether a grader can run, or what it is warned of."""


@click.command("validate", cls=Command, example="graders validate grader.yaml")
@takes_grader(required=False)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the grader, all mistakes and all warnings as JSON.",
)
@click.option(
    "--data",
    metavar="FILE",
    type=DATA,
    help="Rows in which every path of the templates is looked up; model outputs may be missing.",
)
@click.option("--outputs", metavar="FILE", type=DATA, help="Model outputs for --data.")
@click.option("--join-on", metavar="KEY", help="Key that joins --data and --outputs (KEY=OTHER).")
@click.option("--sample-field", metavar="NAME", help="Field with the model's output.")
@click.option("--shape", type=click.Choice(SHAPES), help="Shape of the rows.")
@click.option("--format", "form", type=click.Choice(FORMS), help="Format of --data.")
@click.option("--api-key", hidden=True, expose_value=False, help="Accepted and ignored.")
@engine_options(useful=_USEFUL)
def command(
    engine: Engine, grader: str | None, *, data: Location | None, as_json: bool, **reading: Any
) -> None:
    """Check a grader without running it.

    Prints {"grader": …} and exits with 0, or prints all mistakes at once and exits with 2.

    With --data, every path such as {{item.answer}} is looked up in every row, and those that some rows lack
    are listed; then the exit code is 1. A path of `sample` may fail in some rows, since a model's output may
    lack anything, but not in all.

    With --json it prints {"valid", "grader", "mistakes", "warnings", "data"}, with the same exit codes;
    "grader" is null if there are mistakes, and each mistake and each warning is {"path", "message", "detail",
    "hint"}. "data" is null without --data.
    """
    if data is None and (given := [name for name, value in reading.items() if value]):
        flag = given[0].replace("form", "format").replace("_", "-")
        raise InvalidRequest(f"--{flag} says how to read --data: pass --data.")
    checked = None
    with engine:
        try:
            request = read_request({"grader": grader}, needed=[("grader",)])
            response = engine.validate(request["grader"])
        except InvalidRequest as error:
            if not as_json:
                raise
            _print_json(None, _mistakes(error), (), None)
            sys.exit(WRONG_REQUEST)
        if data is not None:
            from graders_engine.dataset.rows.paths import check_paths

            checked = check_paths(engine.compile(request["grader"]), data, **reading)
    if as_json:
        _print_json(response.grader, (), response.warnings, checked)
    else:
        for warning in response.warnings:
            warn(warning)
        if checked is not None:
            from graders_engine.report.terminal.paths import paths_text
            from graders_engine.report.terminal.screen import screen_of

            click.echo(paths_text(checked, screen_of(sys.stderr)), err=True)
        if checked is None or checked.fit:
            click.echo(format_value(response.model_dump(), "auto"))
    if checked is not None and not checked.fit:
        sys.exit(FAILED)


def _mistakes(error: InvalidRequest) -> Iterable[Mistake]:
    if isinstance(error, InvalidGrader):
        return error.mistakes
    message, _, detail = str(error).partition("\n")
    return [Mistake(message, detail=detail)]


def _print_json(
    grader: dict[str, Any] | None,
    mistakes: Iterable[Mistake],
    warnings: Iterable[Mistake],
    checked: CheckedPaths | None,
) -> None:
    from msgspec import to_builtins

    found = {
        "valid": grader is not None,
        "grader": grader,
        "mistakes": [_plain(mistake) for mistake in mistakes],
        "warnings": [_plain(warning) for warning in warnings],
        "data": checked and {"fit": checked.fit, **to_builtins(checked)},
    }
    click.echo(format_value(found, "json"))


def _plain(mistake: Mistake) -> dict[str, str | None]:
    return {
        "path": mistake.param,
        "message": mistake.message,
        "detail": mistake.detail,
        "hint": mistake.hint,
    }
