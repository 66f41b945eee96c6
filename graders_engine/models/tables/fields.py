"""Read a table of graders.toml into a record: all that is wrong with it is one message."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

T = TypeVar("T")

_FORMS = {
    "headers": 'write {"X-Name" = "VALUE"}',
    "query": 'write {api-version = "2024-10-21"}, the value in quotes',
    "lora": "write true, false or {r = 16, alpha = 32}",
}
"""How a table in a table is written, for those who wrote something else."""


def read_records(
    tables: dict[str, Any], table: str, make: Callable[[Any], T], mistakes: list[str]
) -> dict[str, T]:
    """The entries of a table, each made into a record.

    Args:
        tables: of the file.
        table: the name of this one.
        make: makes a record of an entry; what it raises is a mistake.
        mistakes: those of the file; the ones found here are added.
    """
    records = {}
    given = tables.get(table, {})
    if not isinstance(given, dict):
        mistakes.append(f"[{table}] must be a table")
        return {}
    for name, value in given.items():
        try:
            records[name] = make(value)
        except (TypeError, ValueError) as error:
            mistakes.append(f"[{table}] {name}: {error}")
    return records


def read_record(
    tables: dict[str, Any], table: str, make: Callable[[Any], T], mistakes: list[str], default: T
) -> T:
    """A table that is one record; the default where it has mistakes.

    Args:
        tables: of the file.
        table: the name of this one.
        make: makes the record; what it raises is a mistake.
        mistakes: those of the file; the ones found here are added.
        default: the record of a wrong table.
    """
    try:
        return make(tables.get(table, {}))
    except (TypeError, ValueError) as error:
        mistakes.append(f"[{table}] {error}")
        return default


def fields_of_table(record: type[Any], value: Any) -> dict[str, Any]:
    """The keys of a table that are a record's, each of its kind.

    Raises:
        TypeError: it is no table.
        ValueError: keys or values are wrong; the message names all of them.
    """
    known = get_type_hints(record)
    if not isinstance(value, dict):
        raise TypeError(f"a table with {', '.join(known)}")
    mistakes = []
    if "api_key" in value:
        mistakes.append("a key has no place in a file: name its variable with api_key_env")
    strange = sorted(value.keys() - {*known, "api_key"})
    if strange:
        mistakes.append(f"unknown key {', '.join(strange)}; there are {', '.join(known)}")
    for name in filter(known.__contains__, value):
        form = _FORMS.get(name)
        wrong = _wrong_kinds(name, value[name], known[name])
        mistakes += (f"{mistake}; {form}" if form else mistake for mistake in wrong)
    if mistakes:
        raise ValueError("; ".join(mistakes))
    return value


def _wrong_kinds(name: str, value: Any, kind: Any) -> Iterator[str]:
    """What is wrong with a value; of a table, by its keys."""
    if get_origin(kind) is Mapping and isinstance(value, dict):
        for key, part in value.items():
            yield from _wrong_kinds(f"{name}.{key}", part, get_args(kind)[1])
        return
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        choices = ", ".join(map(str, get_args(kind))) if get_origin(kind) is Literal else ""
        yield f"{name} is one of {choices}, not {value!r}" if choices else f"{name}: {error}"
