"""`graders validate`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import click

from graders_engine.blocking import Engine
from graders_engine.cli.failing import WRONG_REQUEST, warn
from graders_engine.cli.options import engine_options
from graders_engine.cli.parsing.command import Command
from graders_engine.cli.parsing.grader import takes_grader
from graders_engine.cli.printing import format_value
from graders_engine.cli.request import read_request
from graders_engine.errors import InvalidGrader, InvalidRequest, Mistake

_USEFUL = (
    "metric_variants",
    "embeddings",
    "sandbox",
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
@click.option("--api-key", hidden=True, expose_value=False, help="Accepted and ignored.")
@engine_options(useful=_USEFUL)
def command(engine: Engine, grader: str | None, *, as_json: bool) -> None:
    """Check a grader without running it.

    Prints {"grader": …} and exits with 0, or prints all mistakes at once and exits with 2.

    With --json it prints {"valid", "grader", "mistakes", "warnings"}, with the same exit codes; "grader" is
    null if there are mistakes, and each mistake and each warning is {"path", "message", "detail", "hint"}.
    """
    with engine:
        try:
            request = read_request({"grader": grader}, needed=[("grader",)])
            response = engine.validate(request["grader"])
        except InvalidRequest as error:
            if not as_json:
                raise
            _print_json(None, _mistakes(error), ())
            sys.exit(WRONG_REQUEST)
    if as_json:
        _print_json(response.grader, (), response.warnings)
        return
    for warning in response.warnings:
        warn(warning)
    click.echo(format_value(response.model_dump(), "auto"))


def _mistakes(error: InvalidRequest) -> Iterable[Mistake]:
    if isinstance(error, InvalidGrader):
        return error.mistakes
    message, _, detail = str(error).partition("\n")
    return [Mistake(message, detail=detail)]


def _print_json(
    grader: dict[str, Any] | None, mistakes: Iterable[Mistake], warnings: Iterable[Mistake]
) -> None:
    found = {
        "valid": grader is not None,
        "grader": grader,
        "mistakes": [_plain(mistake) for mistake in mistakes],
        "warnings": [_plain(warning) for warning in warnings],
    }
    click.echo(format_value(found, "json"))


def _plain(mistake: Mistake) -> dict[str, str | None]:
    return {
        "path": mistake.param,
        "message": mistake.message,
        "detail": mistake.detail,
        "hint": mistake.hint,
    }
