"""The output formats of JSON values, and lines of text."""

from __future__ import annotations

import io
import json
import logging
import math
import sys
from collections.abc import Iterable
from typing import Any

import click

from graders_engine.files import STDIN
from graders_engine.report.terminal.screen import Caution, screen_of
from graders_engine.report.visible import visible, visible_json


def format_value(value: Any, form: str) -> str:
    """A value in an output format: "jsonl" and "raw" are one line, "yaml" is YAML, others indented JSON.

    A string is printed without quotes, for use in shells; on a terminal it cannot move the cursor, or hide.
    """
    if isinstance(value, str):
        return visible(value) if sys.stdout.isatty() else value
    if form in ("jsonl", "raw"):
        return visible_json(json.dumps(_finite(value), ensure_ascii=False))
    if form == "yaml":
        from ruamel.yaml import YAML

        yaml, text = YAML(), io.StringIO()
        yaml.dump(value, text)
        printed = text.getvalue().removesuffix("\n").removesuffix("\n...")
        return visible(printed) if sys.stdout.isatty() else printed
    return visible_json(json.dumps(_finite(value), indent=2, ensure_ascii=False))


def _finite(value: Any) -> Any:
    """The value with null in place of infinite numbers and NaN, which JSON cannot express."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return value


def print_lines(lines: Iterable[str], *, err: bool = False) -> None:
    """Print lines on standard output or standard error, as that shows them."""
    click.echo(screen_of(sys.stderr if err else sys.stdout).text(lines), err=err)


class PrintedWarnings(logging.Handler):
    """Prints what is logged as other lines are printed: in colour, and as wide as the screen."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record on standard error."""
        try:
            print_lines([Caution(self.format(record))], err=True)
        except Exception:  # noqa: BLE001 - as all handlers: what cannot be logged must not end a run
            self.handleError(record)


STDOUT = STDIN
"""`-` as the name of an output."""
