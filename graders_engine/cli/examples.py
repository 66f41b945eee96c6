"""`graders examples`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from graders_engine import examples
from graders_engine.cli.parsing.command import Command, Group, suggestion, write_list
from graders_engine.cli.terminal import failing
from graders_engine.report.terminal.columns import columns_of

_EXAMPLE = """\
graders examples
graders examples copy invoices"""


class _Examples(Group):
    """What is no subcommand, such as the name of an example, is answered with how to get one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in [*self.list_commands(ctx), "help", "version"]:
            return super().resolve_command(ctx, args)
        known, path = examples.titles(), ctx.command_path
        if name := next(filter(known.__contains__, args), None):
            raise click.UsageError(f"'{name}' is an example: `{path} copy {name}` writes it.", ctx)
        advice = suggestion(args[0], [*known, *self.list_commands(ctx)])
        raise click.UsageError(
            f"No such command or example '{args[0]}'.{advice} `{path}` lists the examples.", ctx
        )


@click.group("examples", cls=_Examples, invoke_without_command=True, example=_EXAMPLE)
@click.pass_context
def command(context: click.Context) -> None:
    """List the examples: graders with data to try them on."""
    if context.invoked_subcommand:
        return
    formatter = click.HelpFormatter(width=columns_of(sys.stdout) or 80)
    write_list(formatter, list(examples.titles().items()))
    click.echo(formatter.getvalue(), nl=False)
    click.echo("\n`graders examples copy NAME` writes one into the working folder.")


@command.command("copy", cls=Command, example="graders examples copy invoices")
@click.argument("name")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
def copy(name: str, folder: Path | None) -> None:
    """Write an example as a folder: NAME in the working folder, or FOLDER.

    Nothing is overwritten. Its README.md says what to type, and what to look at.

    Exit codes: 0 if it is written; 1 if there is something of that name, or it cannot be written; 2 if there
    is no such example.
    """
    known = examples.titles()
    if name not in known:
        advice = suggestion(name, known)
        raise click.UsageError(
            f"There is no example '{name}'.{advice} `graders examples` lists them."
        )
    folder = folder or Path(name)
    try:
        examples.copy(name, folder)
    except FileExistsError:
        failing.complain(f"{folder} is there already: nothing is overwritten, name another folder.")
        sys.exit(failing.FAILED)
    click.echo(f"{known[name]}\nis in {folder}, its README.md says what to look at. First:\n")
    place = f"./{folder}" if str(folder).startswith("-") else str(folder)  # or `cd` reads an option
    click.echo(f"cd {shlex.quote(place)}\n{examples.first_command(name)}")
