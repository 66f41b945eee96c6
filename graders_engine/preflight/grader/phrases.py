"""How findings about a grader name things."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sized
from typing import Any

from graders_engine.preflight.inputs import Inputs

_MOST_CHARS = 600
"""A longer command is not shown: nobody would copy it."""


def and_joined(parts: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`; nothing for no parts."""
    *first, last = ("", *parts)
    first = first[1:]
    return f"{', '.join(first)} and {last}" if first else last


def count_of(parts: Sized, noun: str) -> str:
    """`the file`, `the 2 files`."""
    return f"the {noun}" if len(parts) == 1 else f"the {len(parts)} {noun}s"


def number(value: float) -> str:
    """A number as people read it: at most three digits after the point."""
    return f"{value:.3f}".rstrip("0").rstrip(".") if abs(value) < 1e6 else f"{value:g}"


def run_command(inputs: Inputs, item: Any, sample: str = "some answer") -> str:
    """The command that grades a sample on an item and shows how; empty if it would be too long."""
    if not inputs.grader_file:
        return ""
    words = [
        *("graders", "run", "--grader", f"@{inputs.grader_file}"),
        *("--item", json.dumps(item, ensure_ascii=False), "--model-sample", sample),
    ]
    command = shlex.join(words)
    return command if len(command) <= _MOST_CHARS and "\n" not in command else ""
