"""The schemas in a schema, each with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

SCHEMAS = (
    "items", "additionalItems", "additionalProperties", "contains", "not", "if", "then", "else",
    "propertyNames", "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
"""Keywords that have a schema."""
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
"""Keywords that have a list of schemas."""
MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
"""Keywords that have an object of schemas."""
MOST_PARTS = 5_000
"""Schemas in a schema that are looked at: no trainer takes more, nor the API as many properties."""
MOST_LEVELS = 50
"""How deep they are looked at: no trainer takes more."""
NOTHING = object()
"""What is at a place that is not there."""


class Part(NamedTuple):
    """A schema in a schema.

    Attributes:
        path: where it is, as `schema.properties.a`.
        schema: what is there: an object or a boolean if it is right.
        levels: how many schemas are around it.
        objects: how many schemas of objects are around it.
    """

    path: str
    schema: Any
    levels: int = 0
    objects: int = 0


def parts_of(schema: Any, path: str = "schema") -> Iterator[Part]:
    """A schema and all in it in the order in which they stand, whatever else is wrong with them.

    What a reference points to is a part where it stands itself. A schema that nests deeper than
    `MOST_LEVELS` is cut off there; ask for no more than `MOST_PARTS`.
    """
    stack = [Part(path, schema)]
    while stack:
        part = stack.pop()
        yield part
        if isinstance(part.schema, Mapping) and part.levels < MOST_LEVELS:
            stack += reversed([*_inside(part, part.schema)])


def is_object(schema: Mapping[str, Any]) -> bool:
    """Whether a schema is one of objects."""
    kind = schema.get("type")
    return (
        kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in schema
    )


def _inside(part: Part, schema: Mapping[str, Any]) -> Iterator[Part]:
    levels, objects = part.levels + 1, part.objects + is_object(schema)
    for key, given in schema.items():
        path = f"{part.path}.{key}"
        if (key in LISTS or key == "items") and isinstance(given, list):
            for at, one in enumerate(given):
                yield Part(f"{path}[{at}]", one, levels, objects)
        elif key in MAPS and isinstance(given, Mapping):
            for name, one in given.items():
                yield Part(f"{path}.{name}", one, levels, objects)
        elif key in SCHEMAS:
            yield Part(path, given, levels, objects)


def referred(root: Any, reference: str) -> Any:
    """What a reference stands for, such as `#/$defs/place`; `NOTHING` if it is not there, or elsewhere."""
    if not reference.startswith("#"):
        return NOTHING
    value = root
    for step in filter(None, unquote(reference[1:]).split("/")):
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            known = key.isdecimal() and len(key) < 9 and int(key) < len(value)
            value = value[int(key)] if known else NOTHING
        else:
            value = value.get(key, NOTHING) if isinstance(value, Mapping) else NOTHING
    return value


def target_of(root: Mapping[str, Any], reference: str) -> Any:
    """What a local reference stands for in a schema; True, which allows everything, if it is not there."""
    found = referred(root, reference)
    return True if found is NOTHING else found


def types_in(schema: Mapping[str, Any]) -> Sequence[Any]:
    """The types that a schema names."""
    found = schema.get("type")
    return found if isinstance(found, list) else [found] if found else []
