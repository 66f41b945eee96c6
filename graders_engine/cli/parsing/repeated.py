"""Options of one value that a command line gives several times: which value was meant, nobody can tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

_JOIN = " Several files are read as one: write the lines of both into a file."
_FILES_OF_ROWS = ("--data", "--outputs")


def require_given_once(ctx: click.Context, command: click.Command, args: Sequence[str]) -> None:
    """Check that no option of one value is given with different values.

    Args:
        ctx: of the invocation.
        command: the command.
        args: its command line, of which all options are known.

    Raises:
        UsageError: one is; a parser would use the last value, and say nothing of the others.
    """
    single = {
        option.name: option
        for option in command.params
        if isinstance(option, click.Option) and not option.multiple and not option.count
    }
    import copy

    collecting = copy.copy(command)
    collecting.params = [
        _collecting(copy.copy(param)) if param.name in single else param for param in command.params
    ]
    values, _, _ = collecting.make_parser(ctx).parse_args(list(args))
    for name, option in single.items():
        given = values.get(name)
        different = list(dict.fromkeys(given)) if isinstance(given, list) else []
        if len(different) > 1:
            raise click.UsageError(_message(option, different), ctx)


def _collecting(param: click.Parameter) -> click.Parameter:
    setattr(param, "multiple", True)  # noqa: B010 - a parameter in general has none, an option has
    return param


def _message(option: click.Option, values: list[Any]) -> str:
    flag = max(option.opts, key=len)
    if option.is_flag:
        both = f"{flag} and {option.secondary_opts[0]}" if option.secondary_opts else flag
        return f"{both} contradict each other: give one of them."
    # What may hold a key is not repeated.
    from graders_engine.models.redaction import is_plain

    is_path = isinstance(option.type, click.Path) and not any(
        "://" in str(value) for value in values
    )
    repeatable = is_path or all(is_plain(str(value)) for value in values)
    which = f": {' and '.join(map(str, values))}" if repeatable else ""
    more = _JOIN if flag in _FILES_OF_ROWS else ""
    return f"{flag} is given {len(values)} times, with different values{which}. Give it once.{more}"
