"""The command `graders`; each subcommand is imported when it is used."""

from __future__ import annotations

import sys
from importlib import import_module
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

import click

from graders_engine.cli.parsing.command import Group, write_list
from graders_engine.cli.terminal import failing
from graders_engine.report.terminal.columns import color_wanted
from graders_engine.version import __version__

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "run": "Grade one model output and print the response as JSON.",
    "validate": "Check a grader without running it and print all mistakes.",
    "preflight": "Check whether a grader is fit for a reinforcement fine-tuning job.",
    "attack": "Try to be rewarded by a grader without being right.",
    "score": "Grade all rows of a data set and print a report.",
    "report": "Print the report of a results file, and write it as HTML.",
    "view": "Look at runs and their rows in a browser.",
    "explain": "Show step by step how one row is graded.",
    "compare": "Compare two results files over the same rows.",
    "diff-graders": "Compare two versions of a grader on the same outputs.",
    "serve": "Serve the hosted API's grader routes, and batches, over HTTP.",
    "evals": "List, show and run the evals that a folder keeps.",
    "jobs": "List, show and steer fine-tuning jobs, and export what they trained.",
    "import": "Import graders and rows from the hosted evals.",
    "export": "Make the files by which Azure, Bedrock or SageMaker uses a grader.",
    "conformance": "Compare a server's answers with those that the format asks for.",
    "judge-check": "Measure a judge's agreement with human labels and with itself.",
    "cache": "Show or clear the cache of judges' replies.",
    "sandbox": "Show which sandboxes work on this machine, and test them.",
    "image": "Build, list and remove environments for python graders.",
    "schema": "Print the JSON Schema of a grader, for editors.",
    "examples": "List the examples, or write one into the working folder.",
    "guide": "List the guides, or print one.",
    "completion": "Print the script by which a shell completes commands and options.",
}
"""Subcommand -> its line in `graders --help`; its code is in the module of that name in this folder."""


_MEANT = {
    "check": "validate", "lint": "validate", "verify": "validate", "grade": "score", "evaluate": "score",
    "docs": "guide", "ui": "view",
}  # fmt: skip
"""Words that other tools have for a subcommand, and the subcommand."""


def module_of(name: str) -> str:
    """The module of a subcommand: its name with `_` for `-`, and with a final `_` if it is a keyword."""
    name = name.replace("-", "_")
    return f"{name}_" if iskeyword(name) else name


class _Lazy(Group):
    """A group that knows its subcommands by name and imports one when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        with failing.delayed_interrupts():
            module = import_module(f"graders_engine.cli.{module_of(cmd_name)}")
        failing.collect_again()
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if (meant := _MEANT.get(args[0].lower())) and not ctx.resilient_parsing:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {meant!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(click.style("Commands", bold=True)):
            write_list(formatter, list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        names = [name for name in COMMANDS if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [CompletionItem(name, help=COMMANDS[name]) for name in names] + options

    def make_context(self, *given: Any, **more: Any) -> click.Context:
        try:
            return super().make_context(*given, **more, color=color_wanted())
        except click.UsageError as error:
            failing.refuse_usage(error)

    def invoke(self, ctx: click.Context) -> Any:
        from graders_engine.errors import GradersError

        try:
            with failing.ended_by_signals(), failing.logged_warnings():
                return super().invoke(ctx)
        except click.UsageError as error:
            failing.refuse_usage(error)
        except GradersError as error:
            failing.report_and_exit(error)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            sys.exit(failing.INTERRUPTED)


def _print_version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if not asked or context.resilient_parsing:
        return
    from graders_engine.metrics import core  # loads the compiled core

    reason = f"; {core.REASON}" if core.REASON else ""
    click.echo(f"graders-engine {__version__} (metrics: {core.ACTIVE}{reason})")
    context.exit()


@click.group(
    cls=_Lazy,
    example="graders score --grader @grader.yaml --data rows.jsonl --out results.jsonl",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version, and whether the text metrics are compiled or pure Python, as they are "
    "with GRADERS_PURE=1 or where no C++ compiler was found at installation.",
)
def graders() -> None:
    """Run OpenAI-style graders on your own machine: grader JSON in, reward out."""


def main() -> None:
    """Run the command line."""
    failing.prepare()
    try:
        graders()
    except (OSError, MemoryError, RuntimeError) as error:
        failing.fail(error)
