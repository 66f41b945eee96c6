"""`graders guide`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from itertools import groupby

import click

from graders_engine.cli.parsing.command import Command, suggestion, write_list
from graders_engine.cli.terminal.markdown import table_lines
from graders_engine.guides import text_of, titles
from graders_engine.report.terminal.columns import color_wanted, columns_of, is_terminal

_REFERENCE = "api/"
_FENCE = re.compile(r"^```\w* ?(.*)")
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
_CODE = "    "
_COLUMNS = 80
"""Of a file or a pipe."""


@click.command("guide", cls=Command, example="graders guide judges")
@click.argument("name", required=False)
def command(*, name: str | None) -> None:
    """Print a guide; without NAME, list the guides.

    In a terminal, links are written as the command that prints what they lead to. Into a file or a pipe,
    the text is Markdown as it is.
    """
    if name is None:
        _list()
        return
    known = titles()
    if name not in known:
        raise click.UsageError(
            f"There is no guide '{name}'.{suggestion(name, known)} `graders guide` lists them."
        )
    if is_terminal(sys.stdout):
        width = columns_of(sys.stdout) or _COLUMNS
        click.echo_via_pager(f"{line}\n" for line in _for_terminals(text_of(name), width))
    else:
        click.echo(text_of(name), nl=False)


def _list() -> None:
    guides = [(name, title) for name, title in titles().items() if not name.startswith(_REFERENCE)]
    formatter = click.HelpFormatter(width=columns_of(sys.stdout) or _COLUMNS)
    write_list(formatter, guides)
    click.echo(formatter.getvalue(), nl=False)
    modules = [name for name in titles() if name.startswith(_REFERENCE)]
    if modules:
        click.echo("\nReference of the public modules")
        formatter = click.HelpFormatter(width=columns_of(sys.stdout) or _COLUMNS)
        with formatter.indentation():
            formatter.write_text(", ".join(modules))
        click.echo(formatter.getvalue(), nl=False)
    click.echo("\n`graders guide NAME` prints one.")


def _for_terminals(text: str, width: int) -> Iterator[str]:
    """The lines of a guide as they are read in a terminal: code is indented, headings are bold."""
    colored, in_code = color_wanted() is not False, False
    for is_table, group in groupby(text.splitlines(), lambda line: line.startswith("|")):
        if is_table and not in_code:
            yield from table_lines([_LINK.sub(_named, line) for line in group], width)
            continue
        for line in group:
            fence = _FENCE.match(line)
            if fence:
                in_code = not in_code
                if fence[1]:
                    yield f"{_CODE}{fence[1]}:"
            elif in_code:
                yield f"{_CODE}{line}"
            elif line.startswith("#") and colored:
                yield click.style(line.lstrip("# "), bold=True)
            else:
                yield _LINK.sub(_named, line)


def _named(link: re.Match[str]) -> str:
    """A link as a reader of a terminal can follow it."""
    text, target = link.groups()
    page = target.partition("#")[0].removeprefix("../")
    if not page:
        return text
    if "//" in target or not page.endswith(".md"):
        return text if text == target else f"{text} ({target})"
    return f"{text} (graders guide {page.removesuffix('.md')})"
