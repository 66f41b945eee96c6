"""`graders compare`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from graders_engine.cli.printing import format_value

if TYPE_CHECKING:  # numpy and scipy take a while to import
    from graders_engine.dataset.results.compare import Comparison

WORSE = 3
"""Exit code of --fail-if-worse if B is worse than A."""
FAIL_IF_WORSE = "--fail-if-worse"
FILE = click.Path(path_type=Path)


class WithMargin(click.Command):
    """A command whose --fail-if-worse takes an optional margin, as in `--fail-if-worse=0.1`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; the flag alone means a margin of 0."""
        return super().parse_args(
            ctx, [f"{FAIL_IF_WORSE}=0" if arg == FAIL_IF_WORSE else arg for arg in args]
        )


def comparison_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the flags for printing a comparison to a command."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON."),
        click.option(
            "--top",
            metavar="N",
            type=click.IntRange(0),
            default=10,
            help="Changed rows to print (default: 10).",
        ),
        click.option(
            FAIL_IF_WORSE,
            "margin",
            metavar="[=MARGIN]",
            type=click.FloatRange(0),
            help="Exit with code 3 if B is worse than A by more than MARGIN (default: 0).",
        ),
    ):
        command = option(command)
    return command


def print_comparison(comparison: Comparison, *, as_json: bool, margin: float | None) -> None:
    """Print a comparison; with a margin, exit with `WORSE` if B is worse by more than that."""
    from msgspec import to_builtins

    from graders_engine.report.terminal.compare import comparison_text

    click.echo(
        format_value(to_builtins(comparison), "json") if as_json else comparison_text(comparison)
    )
    if margin is not None and comparison.worse(margin):
        by = f" by more than {margin:g}" if margin else ""
        click.secho(f"\nB is worse than A{by}.", err=True, fg="red")
        sys.exit(WORSE)


@click.command("compare", cls=WithMargin)
@click.argument("a", type=FILE)
@click.argument("b", type=FILE)
@click.option(
    "--force",
    is_flag=True,
    help="Compare even if the files do not show that the rows are the same.",
)
@comparison_options
def command(
    a: Path, b: Path, *, force: bool, as_json: bool, top: int, margin: float | None
) -> None:
    """Compare two results files over the same rows.

    A and B are files that `graders score` has written for the same rows, with two graders or with the outputs
    of two models. Rows are matched by line and sample. The difference is over the rows that are scored in
    both; the samples of a prompt count as one draw. If rows are invalid, there is also the difference as
    served, in which they have the reward that the hosted API gives them.

    Exit codes: 0 done, 3 B is worse (with --fail-if-worse): the 95 % interval of the difference, or of the
    difference as served, ends below -MARGIN.
    """
    from graders_engine.dataset.results.compare import compare

    print_comparison(compare(a, b, top=top, force=force), as_json=as_json, margin=margin)
