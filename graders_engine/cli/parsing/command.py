"""The commands of the command line: their help, the variables of their options, suggestions for mistakes."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import click

from graders_engine.cli.parsing.groups import GROUPS, group_of
from graders_engine.cli.parsing.repeated import require_given_once
from graders_engine.cli.parsing.variables import (
    given_by_variable,
    name_variables,
    unknown_variables,
)
from graders_engine.report.terminal.columns import columns_of

HELP_COLUMNS = 100
"""Longer lines are hard to read, however wide the terminal is."""
_TWO_COLUMNS = 66
"""From this width on, the explanations stand beside the options, and below that beneath them."""
_OPTION_COLUMNS = 28
_FEW_OPTIONS = 7
"""So many are listed without groups."""
_RANGE = re.compile(r"  \[x>=?[01]\]|; x>=?[01](?=\])")
"""How click writes that a number must be positive, which is expected."""
_PLAIN = (
    (r"is not a valid float( range)?\.", "is not a number."),
    (r"is not a valid integer( range)?\.", "is not a whole number."),
    (r"is not in the range x>=(\S+)\.", r"is less than \1."),
    (r"is not in the range x>(\S+)\.", r"is not above \1."),
    (r"is not in the range (\S+)<=x<=(\S+)\.", r"is not from \1 to \2."),
)
"""What click says of numbers, and in plain words."""
_CONTEXT = f"{__name__}.context"


class Command(click.Command):
    """A command with an example, whose help lists its options in groups.

    Args:
        example: a command to type, or several lines of it.
        given: as for `click.Command`.
    """

    def __init__(self, *given: Any, example: str = "", **more: Any) -> None:
        more.setdefault("context_settings", {})
        more["context_settings"].setdefault("help_option_names", ["-h", "--help"])
        super().__init__(*given, **more)
        self.example = example

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Begin an invocation; the command line and the help are as wide as the terminal."""
        if parent is None:
            columns = columns_of(sys.stdout) or 80
            extra.setdefault("terminal_width", min(columns, HELP_COLUMNS))
        return super().make_context(info_name, args, parent, **extra)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, and the variables of the options."""
        name_variables(ctx, self)
        ctx.meta[_CONTEXT] = ctx
        given = list(args)
        rest = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            require_given_once(ctx, self, given)
        if not ctx.resilient_parsing and not isinstance(self, click.Group):
            for name, near in unknown_variables(ctx, self):
                meant = f" Did you mean {near}?" if near else ""
                _warn(f"the variable {name} belongs to no option of this command.{meant}")
        return rest

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write usage, description, example, options, variables."""
        name_variables(ctx, self)
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        self._format_example(formatter)
        self.format_options(ctx, formatter)
        self._format_variables(ctx, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, in their groups."""
        records = [
            (*group_of(self.name or "", [*param.opts, *param.secondary_opts]), record)
            for param in self.get_params(ctx)
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx))
        ]
        records.sort(key=lambda entry: (list(GROUPS).index(entry[0]), entry[1]))
        few = len(records) <= _FEW_OPTIONS
        for heading, group in groupby(records, lambda entry: "Options" if few else entry[0]):
            with formatter.section(_bold(heading)):
                write_list(formatter, [(name, _RANGE.sub("", text)) for *_, (name, text) in group])

    def _format_example(self, formatter: click.HelpFormatter) -> None:
        if self.example:
            with formatter.section(_bold("Example")):
                for line in self.example.splitlines():
                    for part in _shell_lines(line, formatter.width - 2):
                        formatter.write(f"  {part}\n")

    def _format_variables(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        named = {
            option.opts[0]: option.envvar
            for option in self.params
            if isinstance(option, click.Option) and not isinstance(option.envvar, str | None)
        }
        if not named:
            return
        flag = next((name for name in ("--out", "--data", "--grader") if name in named), min(named))
        text = f"Each option can be given by a variable: {flag} by {named[flag][0]}"
        if len(named.get("--base-url", ())) > 1:
            text += (
                ", and those for judges, metrics and the sandbox also by one for all commands: "
                f"--base-url by {named['--base-url'][-1]}"
            )
        with formatter.section(_bold("Environment")):
            formatter.write_text(f"{text}.")


class Group(Command, click.Group):
    """A command with subcommands; a misspelt one gets a suggestion."""

    command_class = Command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The subcommand that the first argument names.

        Raises:
            UsageError: there is none of this name.
        """
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-"):
            advice = _help_or_version(ctx, args, known) or suggestion(args[0], known)
            if not advice and len(known) <= _FEW_OPTIONS:
                advice = f" The commands are: {', '.join(known)}."
            raise click.UsageError(f"No such command '{args[0]}'.{advice}", ctx)
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the subcommands, then the options."""
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the subcommands."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section(_bold("Commands")):
            write_list(
                formatter,
                [(name, command.get_short_help_str(200)) for name, command in commands if command],
            )


def _help_or_version(ctx: click.Context, args: list[str], known: Sequence[str]) -> str:
    """The end of a message about a word that other programs have as a command, and this one as an option."""
    word, *rest = args
    if word not in ("help", "version"):
        return ""
    of = f" {rest[0]}" if word == "help" and rest and rest[0] in known else ""
    return f" Did you mean '{ctx.command_path}{of} --{word}'?"


def suggestion(word: str, known: Iterable[str]) -> str:
    """The end of a message about a word that is not known: "Did you mean …?", or nothing."""
    from difflib import get_close_matches

    names = {name.lstrip("-").lower(): name for name in known}
    typed = word.lstrip("-").lower()
    begin_alike = [name for name in names if name.startswith(typed)] if len(typed) > 1 else []
    close = sorted(begin_alike, key=len)[:1] or get_close_matches(typed, names, 1)
    return f" Did you mean '{names[close[0]]}'?" if close else ""


def write_list(formatter: click.HelpFormatter, rows: Sequence[tuple[str, str]]) -> None:
    """Write names with explanations: beside each other, or beneath where that is too narrow."""
    if formatter.width >= _TWO_COLUMNS:
        formatter.write_dl(rows, col_max=_OPTION_COLUMNS)
        return
    from graders_engine.report.width import wrapped

    margin = " " * formatter.current_indent
    for name, explanation in rows:
        for line in wrapped(f"{margin}{name}".replace("|", "| "), formatter.width):
            formatter.write(f"{line}\n".replace("| ", "|"))
        indent = margin + " " * 4
        formatter.write(click.wrap_text(explanation, formatter.width, indent, indent) + "\n")


def message_of(error: click.UsageError) -> str:
    """What was wrong with a command line, with a suggestion."""
    message = error.format_message()
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        options = (
            p for p in error.ctx.command.get_params(error.ctx) if not getattr(p, "hidden", False)
        )
        known = [name for option in options for name in (*option.opts, *option.secondary_opts)]
        flags = [name for name in known if name.startswith("--")]
        return f"{error.message}{suggestion(error.option_name, flags)}"
    param = error.param if isinstance(error, click.BadParameter) else None
    if param is not None and isinstance(param.type, click.Choice):
        given = message.partition(": '")[2].partition("'")[0]
        message += suggestion(given, map(str, param.type.choices))
    for pattern, plain in _PLAIN:
        message = re.sub(pattern, plain, message)
    return message


def variable_notes(message: str) -> list[str]:
    """Which of the options that a message names were given by a variable, a sentence each."""
    current = click.get_current_context(silent=True)
    ctx = current and current.meta.get(_CONTEXT)
    words = set(re.split(r"[\s'\":,=]+", message))
    return [
        f"{option.opts[0]} is given by the variable {variable}."
        for option, variable in (given_by_variable(ctx) if ctx else ())
        if words.intersection(option.opts)
    ]


def _warn(text: str) -> None:
    """Print a warning on standard error."""
    from graders_engine.cli.terminal.failing import caution  # it imports this module

    caution(f"warning: {text}")


def _bold(heading: str) -> str:
    return click.style(heading, bold=True)


def _shell_lines(command: str, columns: int) -> list[str]:
    r"""A command on several lines, each but the last with `\` at its end, if it does not fit on one."""
    lines: list[str] = []
    current = ""
    for word in _words(command):
        if current and len(current) + len(word) + 3 > columns:
            lines.append(f"{current} \\")
            current = f"    {word}"
        else:
            current = f"{current} {word}" if current else word
    return [*lines, current]


def _words(command: str) -> list[str]:
    if not {*command} & {"'", '"'}:
        return command.split()
    import shlex  # few examples have quotes

    return shlex.split(command, posix=False)
