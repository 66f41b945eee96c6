"""The name of a row, as reports write it: `19`, or `19#5` for the fifth sample of line 19."""

from __future__ import annotations

import re
from typing import NamedTuple

import click

_FORM = re.compile(r"(?:line )?([0-9]{1,18})(?: ?#([0-9]{1,18}))?")


class Named(NamedTuple):
    """A row by its name: its line, and the number of its sample, 0 if that is left out; both from 1."""

    line: int
    sample: int


def named_row(ctx: click.Context, param: click.Parameter, value: str | None) -> Named | None:
    """The row that the text of an argument or option names; used as its callback."""
    if value is None:
        return None
    found = _FORM.fullmatch(value)
    named = Named(int(found[1]), int(found[2] or 0)) if found else Named(0, 0)
    if not named.line or (found and found[2] and not named.sample):
        message = f"'{value}' is no row: write its line, or LINE#SAMPLE, such as 19#5."
        raise click.BadParameter(message, ctx, param)
    return named
