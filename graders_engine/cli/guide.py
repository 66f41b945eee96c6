"""`graders guide`."""

from __future__ import annotations

import sys

import click

from graders_engine.cli.parsing.command import Command, suggestion, write_list
from graders_engine.cli.terminal.pages import page_lines
from graders_engine.guides import text_of, titles
from graders_engine.report.terminal.columns import color_wanted, columns_of, is_terminal

_REFERENCE = "api/"
_CONTRIBUTE = "How to contribute is in .github/CONTRIBUTING.md of the repository."
_REPORT = (
    "How to report a security problem is in .github/SECURITY.md of the repository; what the sandbox keeps "
    "out: `graders guide security`."
)
_SYSTEMS = "What runs on which system: `graders guide support`."
_ELSEWHERE = {
    "contributing": _CONTRIBUTE, "contribute": _CONTRIBUTE,
    "security-report": _REPORT, "security-policy": _REPORT, "vulnerability": _REPORT,
    "macos": _SYSTEMS, "mac": _SYSTEMS, "windows": _SYSTEMS, "linux": _SYSTEMS, "wsl": _SYSTEMS,
}  # fmt: skip
"""Where to read about what has no guide of its name."""


@click.command("guide", cls=Command, example="graders guide judges")
@click.argument("names", nargs=-1, metavar="[NAME]")
def command(*, names: tuple[str, ...]) -> None:
    """Print a guide; without NAME, list the guides.

    In a terminal, links are written as the command that prints what they lead to. Into a file or a pipe,
    the text is Markdown as it is.
    """
    if not names:
        _list()
        return
    known = titles()
    name = names[0]
    if len(names) > 1:
        one = next(filter(known.__contains__, names), "NAME")
        raise click.UsageError(f"One guide is printed at a time: `graders guide {one}`.")
    if name not in known:
        way_on = _ELSEWHERE.get(name.lower())
        hint = f" {way_on}" if way_on else f"{suggestion(name, known)} `graders guide` lists them."
        raise click.UsageError(f"There is no guide '{name}'.{hint}")
    if is_terminal(sys.stdout):
        columns = columns_of(sys.stdout) or 80
        lines = page_lines(text_of(name), columns, colored=color_wanted() is not False)
        text = "".join(f"{line}\n" for line in lines)
        try:
            click.echo_via_pager(text)
        except ValueError:  # the variable PAGER is no command line
            click.echo(text, nl=False)
    else:
        click.echo(text_of(name), nl=False)


def _list() -> None:
    guides = [(name, title) for name, title in titles().items() if not name.startswith(_REFERENCE)]
    formatter = click.HelpFormatter(width=columns_of(sys.stdout) or 80)
    write_list(formatter, guides)
    click.echo(formatter.getvalue(), nl=False)
    modules = [name for name in titles() if name.startswith(_REFERENCE)]
    if modules:
        click.echo("\nReference of the public modules")
        formatter = click.HelpFormatter(width=columns_of(sys.stdout) or 80)
        with formatter.indentation():
            formatter.write_text(", ".join(modules))
        click.echo(formatter.getvalue(), nl=False)
    click.echo("\n`graders guide NAME` prints one; `graders guide graders` is where to begin.")
