"""The functions that the templates of a job's page use as filters, under the same names."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from graders_engine.report import formatting
from graders_engine.report.visible import one_line, shorten, start_of


def as_text(value: Any) -> str:
    """A value of a template as text: a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)


def format_duration(seconds: float) -> str:
    """A duration as people say it: "3.2 s", "4 min 10 s", "2 h 5 min", "3 days 4 h"."""
    if seconds < 60:
        return formatting.format_seconds(seconds) if seconds < 10 else f"{seconds:.0f} s"
    whole = round(seconds)
    for unit, size, lower, below in (
        ("days", 86_400, "h", 3_600),
        ("h", 3_600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if whole >= size:
            first, rest = divmod(whole, size)
            name = "day" if unit == "days" and first == 1 else unit
            return (
                f"{first:,} {name} {rest // below} {lower}"
                if rest // below
                else f"{first:,} {name}"
            )
    return f"{whole} s"


def exactly(value: float) -> str:
    """A number with all its digits, as `graders explain` prints it."""
    return repr(value)


FILTERS: tuple[Callable[..., Any], ...] = (
    as_text,
    exactly,
    format_duration,
    formatting.format_count,
    formatting.format_number,
    formatting.format_percent,
    formatting.format_reward,
    formatting.format_share,
    one_line,
    shorten,
    start_of,
)
