"""Flags made from the fields of a settings record: a flag has the name and default of its field."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import click

from graders_engine.errors import InvalidRequest
from graders_engine.models.redaction import is_plain

Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def percent(text: str) -> float:
    """A percentage, with or without its sign; the `type` of an option."""
    try:
        return float(text.strip().removesuffix("%"))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a percentage: write 5%.") from None


def flag(record: type, name: str, *declarations: str, **options: Any) -> Decorator:
    """A click option for one field of a dataclass.

    Args:
        record: the dataclass.
        name: the field; the command gets the flag's value under this name.
        declarations: the flag's spellings; `--name-of-field` by default.
        options: as for `click.option`.
    """
    default = next(entry.default for entry in dataclasses.fields(record) if entry.name == name)
    options.setdefault("default", None if default is dataclasses.MISSING else default)
    spellings = declarations or (f"--{name.replace('_', '-')}",)
    return click.option(*spellings, name, **options)


def with_flags(command: Callable[..., None], flags: dict[str, Decorator]) -> Callable[..., None]:
    """Add several flags to a command; its help lists them in this order."""
    for decorate in reversed(flags.values()):
        command = decorate(command)
    return command


def pair(name: str, given: str, form: str = "NAME=VALUE") -> tuple[str, str]:
    """The two sides of a flag's value.

    Raises:
        InvalidRequest: one side is missing.
    """
    left, equals, right = given.partition("=")
    if not (left and equals and right):
        # An address in place of a pair may hold a key.
        repeated = f" {given}" if is_plain(given) else ""
        raise InvalidRequest(f"{name}{repeated}: write {form}.")
    return left, right
