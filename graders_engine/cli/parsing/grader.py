"""The grader of a command: an argument or the option `--grader`."""

from __future__ import annotations

import os
from collections.abc import Callable

import click
from click.core import ParameterSource

from graders_engine.cli.parsing.flags import Decorator
from graders_engine.errors import InvalidRequest
from graders_engine.language.spelling import nearest

_ENDINGS = (".yaml", ".yml", ".json", ".py")
_MOST_NAMES = 1000
"""Names of a folder that are looked at."""


def takes_grader(*, required: bool) -> Decorator:
    """Let a command take its grader as the argument GRADER or as `--grader`; it is called with `grader`.

    Args:
        required: whether one of them must be given.
    """

    def take(ctx: click.Context, _: click.Parameter, argument: str | None) -> None:
        given = ctx.params.get("grader")
        if argument is not None:
            if (
                given is not None
                and ctx.get_parameter_source("grader") is ParameterSource.COMMANDLINE
            ):
                raise click.UsageError(
                    f"Unexpected argument '{argument}': the grader is given by --grader.", ctx
                )
            ctx.params["grader"] = as_flag(argument)
        elif required and given is None and not ctx.resilient_parsing:
            raise click.UsageError("The grader is missing: name its file, or pass --grader.", ctx)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        argument = click.argument(
            "argument", metavar="[GRADER]", required=False, expose_value=False, callback=take
        )
        option = click.option(
            "--grader",
            metavar="G",
            is_eager=True,  # so that it is known when the argument is looked at
            help="The grader: JSON, YAML, @FILE, @SOURCE.py, or - for standard input; GRADER needs no @.",
        )
        return argument(option(command))

    return decorate


def as_flag(argument: str) -> str:
    """The value of `--grader` that an argument stands for, which may also be the name of a file.

    Raises:
        InvalidRequest: it is no grader and there is no such file.
    """
    if os.path.isfile(argument):  # unlike pathlib it does not raise for a text that is too long
        return f"@{argument}"
    is_text = ":" in argument or argument.strip()[:1] in ("", "{", "[", '"', "`")
    if not is_text and argument[:1] not in ("@", "-"):
        near = _near(argument)
        meant = f" Did you mean {near}?" if near else ""
        raise InvalidRequest(f"{argument}: there is no such file, and it is not a grader.{meant}")
    return argument


def _near(path: str) -> str:
    """A file beside a path whose name differs in its ending or by a slip; empty if there is none."""
    folder, name = os.path.split(path)
    try:
        names = [entry.name for entry in os.scandir(folder or ".") if entry.is_file()]
    except (OSError, ValueError):
        return ""
    graders = [one for one in names if one.lower().endswith(_ENDINGS)][:_MOST_NAMES]
    stem = os.path.splitext(name)[0]
    same = next((one for one in sorted(graders) if os.path.splitext(one)[0] == stem), "")
    found = same or nearest(name, graders)
    return os.path.join(folder, found) if found else ""
