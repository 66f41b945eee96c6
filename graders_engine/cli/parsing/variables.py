"""Environment variables for options: `GRADERS_SCORE_OUT` for `graders score --out`.

Options that mean the same everywhere, those of judges, metrics and the sandbox, have a second variable
without the command: `GRADERS_BASE_URL`. Several values of one option are separated by blanks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import click
from click.core import ParameterSource

from graders_engine.cli.parsing.groups import SHARED, group_of

PREFIX = "GRADERS"
_TAKEN = {"GRADERS_CACHE", "GRADERS_DATA", "GRADERS_API_KEY"}
"""Variables with a meaning of their own: file of the default cache, folder of images, key of a server."""


def name_variables(ctx: click.Context, command: click.Command) -> None:
    """Let each option of a command be given by its variables; one that names a variable itself keeps that."""
    path = _command_path(ctx, command)
    for option in command.params:
        if isinstance(option, click.Option) and option.envvar is None and option.expose_value:
            option.envvar = variables_of(path, option)


def variables_of(path: list[str], option: click.Option) -> list[str]:
    """The variables of an option, the one that goes first at the beginning.

    Args:
        path: the command's name, after those of its groups.
        option: the option.
    """
    flag = next((name for name in option.opts if name.startswith("--")), option.opts[0])
    names = [_variable(*path, flag)]
    if group_of(path[-1], option.opts)[0] in SHARED and _variable(flag) not in _TAKEN:
        names.append(_variable(flag))
    return names


def given_by_variable(ctx: click.Context) -> Iterator[tuple[click.Option, str]]:
    """The options of a command that a variable gave, each with that variable."""
    for option in ctx.command.params:
        source = ctx.get_parameter_source(option.name or "")
        if isinstance(option, click.Option) and source is ParameterSource.ENVIRONMENT:
            names = [option.envvar] if isinstance(option.envvar, str) else option.envvar or []
            for name in names:
                if os.environ.get(name):
                    yield option, name
                    break


def _command_path(ctx: click.Context, command: click.Command) -> list[str]:
    path: list[str] = []
    at: click.Context | None = ctx
    while at is not None and at.parent is not None:
        path.insert(0, at.command.name or "")
        at = at.parent
    return path or [command.name or ""]


def _variable(*words: str) -> str:
    return "_".join([PREFIX, *(word.lstrip("-") for word in words)]).upper().replace("-", "_")
