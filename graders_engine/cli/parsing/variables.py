"""Environment variables for options: `GRADERS_SCORE_OUT` for `graders score --out`.

Options that mean the same everywhere, those of judges, metrics and the sandbox, have a second variable
without the command: `GRADERS_BASE_URL`. Several values of one option are separated by blanks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import click
from click.core import ParameterSource

from graders_engine.cli.parsing.groups import GROUPS, SHARED, group_of

PREFIX = "GRADERS"
_TAKEN = {
    *("GRADERS_CACHE", "GRADERS_DATA", "GRADERS_API_KEY", "GRADERS_ADMIN_KEY"),
    *("GRADERS_PURE", "GRADERS_CORE"),
}
"""Variables with a meaning of their own: the default cache, images, keys of a server, compiled metrics."""
_NEAR = 0.8
"""How much alike two names must be for one of any program to be taken for a misspelt one of ours."""


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


def unknown_variables(ctx: click.Context, command: click.Command) -> Iterator[tuple[str, str]]:
    """The variables that are probably meant for an option of a command and belong to none.

    Each comes with the one that it is near to, or "". A variable is probably meant for an option if its name
    begins as those of the command's options do, or is near to one that all commands have.
    """
    if not any(name.startswith(f"{PREFIX}_") for name in os.environ):
        return
    from difflib import get_close_matches

    own = f"{_variable(*_command_path(ctx, command))}_"
    known = {
        name
        for option in command.params
        if not isinstance(option.envvar, str | None) and not getattr(option, "hidden", False)
        for name in option.envvar or ()
    }
    shared = {_variable(flag) for group in SHARED for flag in GROUPS[group]}
    for name in sorted(os.environ):
        if not name.startswith(f"{PREFIX}_") or name in known | shared | _TAKEN | _given(command):
            continue
        begin, cutoff = (own, 0.6) if name.startswith(own) else (f"{PREFIX}_", _NEAR)
        rests = [other[len(begin) :] for other in known if other.startswith(begin)]
        near = get_close_matches(name[len(begin) :], rests, 1, cutoff)
        if near or begin == own:
            yield name, f"{begin}{near[0]}" if near else ""


def _given(command: click.Command) -> set[str]:
    """All variables of a command's options, hidden ones too."""
    names = [option.envvar for option in command.params if option.envvar]
    return {one for name in names for one in ([name] if isinstance(name, str) else name)}


def _command_path(ctx: click.Context, command: click.Command) -> list[str]:
    path: list[str] = []
    at: click.Context | None = ctx
    while at is not None and at.parent is not None:
        path.insert(0, at.command.name or "")
        at = at.parent
    return path or [command.name or ""]


def _variable(*words: str) -> str:
    return "_".join([PREFIX, *(word.lstrip("-") for word in words)]).upper().replace("-", "_")
