"""Flags made from the fields of a settings record: a flag has the name and default of its field."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from graders_engine.errors import InvalidRequest
from graders_engine.models.redaction import is_plain

Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def percent(text: str) -> float:
    """A percentage, with or without its sign; the `type` of an option.

    Below 1 it must have one: 0.05 may also be meant as a share.
    """
    number = text.strip().removesuffix("%")
    try:
        value = float(number)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a percentage: write 5%.") from None
    if 0 < value < 1 and number == text.strip():
        raise click.BadParameter(
            f"{text!r} may be meant as a percentage or as a share: write {value:g}% or {100 * value:g}%."
        )
    return value


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


def with_flags(
    command: Callable[..., None], flags: Mapping[str, Decorator], hidden: Collection[str] = ()
) -> Callable[..., None]:
    """Add several flags to a command, some of which are not in its help."""
    for name, decorate in reversed(list(flags.items())):
        command = decorate(command)
        if name in hidden:
            command.__click_params__[-1].hidden = True  # type: ignore[attr-defined] # where click keeps them
    return command


def named_path(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """The path of an option that stands for no standard stream; used as its callback."""
    if path is not None and str(path) == "-":
        raise click.BadParameter(
            "'-' stands for a standard stream, which it cannot be.", ctx, param
        )
    return path


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


def pairs(name: str, given: Iterable[str], form: str = "NAME=VALUE") -> dict[str, str]:
    """The values of a flag that is given several times, by their left sides.

    Raises:
        InvalidRequest: one is no pair, or two have the same left side and different right ones.
    """
    found: dict[str, str] = {}
    for text in given:
        left, right = pair(name, text, form)
        if found.setdefault(left, right) != right:
            both = (
                f": {found[left]} and {right}" if is_plain(found[left]) and is_plain(right) else ""
            )
            what = f" {left}" if is_plain(left) else ""
            raise InvalidRequest(
                f"{name}{what} is given twice, with different values{both}. Give it once."
            )
    return found
