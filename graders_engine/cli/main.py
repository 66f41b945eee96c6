"""The command `graders`; each subcommand is imported when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from graders_engine.version import __version__

COMMANDS = {
    "run": "Grade one model output and print the response as JSON.",
    "validate": "Check a grader without running anything; prints every mistake at once.",
    "score": "Grade every row of a data set and print a report.",
    "sandbox": "Show where python graders can run on this machine, and prove it.",
    "image": "Build, list and remove environments for python graders.",
    "schema": "Print the JSON Schema of a grader, for editors.",
}
"""Subcommand -> its line in `graders --help`; the code is in the module of that name beside this one."""


class _Lazy(click.Group):
    """Knows its subcommands by name, and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"graders_engine.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        from graders_engine.cli.failing import report_and_exit
        from graders_engine.errors import GradersError

        try:
            return super().invoke(ctx)
        except GradersError as error:
            report_and_exit(error)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="graders-engine")
def graders() -> None:
    """Run OpenAI-style graders on your own machine: grader JSON in, reward out."""


def main() -> None:
    """Run the command line."""
    # A row's text may hold what the terminal's encoding has no sign for: it is shown escaped.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # a text file here
    graders()
