"""Options that `graders preflight` and `graders attack` share."""

from __future__ import annotations

from collections.abc import Callable

import click


def reference_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take `--reference-field` or `--reference-template`, from which right answers come."""
    field = click.option(
        "--reference-field", metavar="NAME", help="Field of a row with its right answer."
    )
    template = click.option(
        "--reference-template",
        metavar="T",
        help="The right answer of a row: text or a JSON sample with {{item.…}}.",
    )
    return field(template(command))


max_calls_option = click.option(
    "--max-calls",
    metavar="N",
    type=click.IntRange(0),
    default=300,
    help="Most calls of judges, repeats of failed ones aside (default: 300); 0 asks none.",
)
