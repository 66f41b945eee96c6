"""How a command reports that a request cannot be fulfilled."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from graders_engine.errors import BudgetSpent, DataSetError, GradersError, InvalidGrader, Mistake
from graders_engine.report.visible import visible

WRONG_REQUEST = 2
"""Exit code for a wrong request: a grader, a row or a flag that cannot be used."""
FAILED = 1
"""Exit code if the request is right, but a file cannot be read or written, or the budget is spent."""


def report_and_exit(error: GradersError) -> NoReturn:
    """Print what is wrong on standard error, and exit with the code for it."""
    if isinstance(error, InvalidGrader):
        count = len(error.mistakes)
        click.secho(
            f"The grader has {count} mistakes:" if count > 1 else "The grader has a mistake:",
            err=True, fg="red",
        )  # fmt: skip
        for mistake in error.mistakes:
            show(mistake)
    else:
        click.secho(visible(str(error)), err=True, fg="red")
    sys.exit(FAILED if isinstance(error, DataSetError | BudgetSpent) else WRONG_REQUEST)


def warn(mistake: Mistake) -> None:
    """Print a warning on standard error."""
    click.secho("warning", err=True, fg="yellow", nl=False)
    click.echo(visible(f": {mistake}"), err=True)


def show(mistake: Mistake) -> None:
    """Print one mistake: path, message, the line with a caret, and what to do."""
    click.echo(err=True)
    if mistake.param:
        click.secho(visible(mistake.param), err=True, bold=True)
    for line in visible(str(mistake)).splitlines():
        click.echo(f"  {line}", err=True)
