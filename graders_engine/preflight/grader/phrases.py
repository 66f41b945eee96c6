"""How findings about a grader name things."""

from __future__ import annotations

from collections.abc import Iterable, Sized


def and_joined(parts: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`; nothing for no parts."""
    *first, last = ("", *parts)
    first = first[1:]
    return f"{', '.join(first)} and {last}" if first else last


def count_of(parts: Sized, noun: str) -> str:
    """`the file`, `the 2 files`."""
    return f"the {noun}" if len(parts) == 1 else f"the {len(parts)} {noun}s"
