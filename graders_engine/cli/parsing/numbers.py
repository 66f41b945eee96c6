"""What the numbers of a run are asked for with, by `score` and by `report`."""

from __future__ import annotations

import math
import re
from typing import Any

import click


class Finite(click.types.FloatParamType):
    """A number; neither infinite nor NaN, which compare with nothing as a user means it."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number that the text says."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"'{value}' is not a finite number.", param, ctx)
        return number


FINITE = Finite()


def size_of(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """The bytes that an option says, as in 20MB or 500kB; for its `callback`."""
    if value is None:
        return None
    match = _SIZE.fullmatch(value.strip())
    size = int(float(match[1]) * _UNITS[match[2].lower()]) if match else 0
    if size < 1:
        message = f"'{value}' is not a size such as 20MB or 500kB."
        raise click.BadParameter(message, ctx, param)
    return size


_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(|k|kB|MB|GB|M|G|B)", re.IGNORECASE)
_UNITS = {
    unit + ending: factor
    for unit, factor in (("", 1), ("k", 10**3), ("m", 10**6), ("g", 10**9))
    for ending in ("", "b")
}

PASSING = click.option(
    "--passing",
    metavar="X",
    type=FINITE,
    help="Lowest reward with which a row passes (default: the grader's pass_threshold).",
)
GROUP_SIZE = click.option(
    "--group-size",
    metavar="N",
    type=click.IntRange(2),
    help="Samples of a group in training, of which the report says how often they differ (default: 8).",
)
GROUP_BY = click.option(
    "--group-by",
    metavar="PATH",
    help="Path to what samples of one prompt share: item.id, a column, or `item` for equal items.",
)
