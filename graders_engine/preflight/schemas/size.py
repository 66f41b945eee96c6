"""How large a schema is, and how large one may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from graders_engine.preflight.schemas.walk import MOST_LEVELS, MOST_PARTS, is_object, parts_of

_LEVELS, _PROPERTIES, _VALUES, _CHARS = 10, 5_000, 1_000, 120_000
"""Objects in objects, properties in all, values of all enums, and characters of names and values in all
(https://developers.openai.com/api/docs/guides/structured-outputs, "Supported schemas")."""
_MANY_VALUES, _MANY_CHARS = 250, 15_000
"""An enum of texts that has more values may have so many characters (the same page)."""


@dataclass(slots=True)
class Size:
    """How large a schema is, as far as it was looked at.

    Attributes:
        parts: schemas in it, and itself.
        levels: how many schemas are around the deepest.
        objects: how many schemas of objects are in each other.
        properties: names of properties.
        values: values of enums.
        chars: characters of the names of properties and definitions, and of texts of `enum` and `const`.
        large_chars: characters of the largest enum with many texts.
    """

    parts: int = 0
    levels: int = 0
    objects: int = 0
    properties: int = 0
    values: int = 0
    chars: int = 0
    large_chars: int = 0

    @property
    def is_cut(self) -> bool:
        """Whether there is more of it than is looked at: what is said of it is not all."""
        return self.parts > MOST_PARTS or self.levels >= MOST_LEVELS


def size_of(schema: Any) -> Size:
    """How large a schema is."""
    size = Size()
    for part in islice(parts_of(schema), MOST_PARTS + 1):
        size.parts += 1
        size.levels = max(size.levels, part.levels)
        if isinstance(part.schema, Mapping):
            size.objects = max(size.objects, part.objects + is_object(part.schema))
            _add(size, part.schema)
    return size


def _add(size: Size, schema: Mapping[str, Any]) -> None:
    for key in ("properties", "$defs", "definitions"):
        named = schema.get(key)
        if isinstance(named, Mapping):
            size.chars += sum(len(str(name)) for name in named)
            size.properties += len(named) if key == "properties" else 0
    values = schema.get("enum")
    if isinstance(values, list):
        length = _length(values)
        size.values += len(values)
        size.chars += length
        if len(values) > _MANY_VALUES:
            size.large_chars = max(size.large_chars, length)
    size.chars += _length([schema.get("const")])


def _length(values: Sequence[Any]) -> int:
    return sum(len(value) for value in values if isinstance(value, str))


def excesses(size: Size) -> Iterator[str]:
    """What is too much of a schema for structured outputs, each as a clause with the limit."""
    more = "at least " if size.is_cut else ""
    for count, most, what in (
        (size.objects, _LEVELS, "levels of objects"),
        (size.properties, _PROPERTIES, "properties"),
        (size.values, _VALUES, "values of `enum`"),
        (size.chars, _CHARS, "characters of names and values"),
        (
            size.large_chars,
            _MANY_CHARS,
            f"characters in an `enum` of more than {_MANY_VALUES} values",
        ),
    ):
        if count > most:
            yield f"it has {more}{count:,} {what}, of {most:,} at most"
    if size.parts > MOST_PARTS:
        yield f"it has more than {MOST_PARTS:,} schemas in it, and no more are looked at"
    elif size.levels >= MOST_LEVELS:
        yield f"what is deeper than {MOST_LEVELS} schemas is not looked at"
