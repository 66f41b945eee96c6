"""`graders compare`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from graders_engine.cli.printing import format_value

if TYPE_CHECKING:  # what it stands on takes a while to import
    from graders_engine.dataset.results.compare import Comparison

WORSE = 3
"""Exit code of --fail-if-worse when the second run is worse."""
FAIL_IF_WORSE = "--fail-if-worse"
FILE = click.Path(path_type=Path)


class WithMargin(click.Command):
    """A command whose --fail-if-worse may stand alone or with a margin behind `=`, never behind a blank."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Spell out the margin of 0."""
        return super().parse_args(
            ctx, [f"{FAIL_IF_WORSE}=0" if arg == FAIL_IF_WORSE else arg for arg in args]
        )


def comparison_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags for showing a comparison."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print it as JSON."),
        click.option(
            "--top",
            metavar="N",
            type=click.IntRange(0),
            default=10,
            help="Changed rows to show; 10.",
        ),
        click.option(
            FAIL_IF_WORSE,
            "margin",
            metavar="[=MARGIN]",
            type=click.FloatRange(0),
            help="Exit with 3 if B is shown to be worse than A, by more than MARGIN (0 when left out).",
        ),
    ):
        command = option(command)
    return command


def show(found: Comparison, *, as_json: bool, margin: float | None) -> None:
    """Print a comparison; ends the process with `WORSE` where that was asked for."""
    from msgspec import to_builtins

    from graders_engine.report.terminal.compare import render

    click.echo(format_value(to_builtins(found), "json") if as_json else render(found))
    if margin is not None and found.worse(margin):
        by = f" by more than {margin:g}" if margin else ""
        click.secho(f"\nB is worse than A{by}.", err=True, fg="red")
        sys.exit(WORSE)


@click.command("compare", cls=WithMargin)
@click.argument("a", type=FILE)
@click.argument("b", type=FILE)
@click.option(
    "--force", is_flag=True, help="Even if the files do not say that the rows are the same."
)
@comparison_options
def command(
    a: Path, b: Path, *, force: bool, as_json: bool, top: int, margin: float | None
) -> None:
    """Hold two results files over the same rows against each other.

    A and B are what `graders score` wrote: the same rows under two graders, or two models. Rows are matched
    by line and sample. The difference is over those scored in both, samples of one prompt counting as one
    draw; where rows are invalid, it is also shown as the hosted API would serve them.

    Exit codes: 0 done, 3 B is worse (with --fail-if-worse): the 95 % interval of the difference, or that of
    the difference as served, ends below -MARGIN.
    """
    from graders_engine.dataset.results.compare import compare

    show(compare(a, b, top=top, force=force), as_json=as_json, margin=margin)
