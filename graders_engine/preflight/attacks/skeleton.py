"""JSON of the right form without the right content: from a schema, a right answer, or a grader's paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from graders_engine.preflight.schemas.walk import MOST_LEVELS, MOST_PARTS, parts_of, referred

MAX_REFERENCES = 8
"""How many references are followed to one place: a schema that refers to itself has no end."""
_MOST_PARTS = 5_000
"""Values in what is made of a schema, in which references may multiply."""


def from_schema(schema: Any, text: Any) -> Any:
    """A value of the form of a JSON Schema: texts are this one, numbers 0, other scalars null.

    What is nested too deep, referred to too often, or too much in all is null.

    Args:
        schema: the schema; references point into it.
        text: takes the place of each text; a list of texts has this one element, or none if it is empty.
    """
    return _Writing(schema, text).value(schema, 0, 0)


class _Writing:
    """Makes one value of a schema."""

    def __init__(self, root: Any, text: Any) -> None:
        self._root, self._text = root, text
        self._left = _MOST_PARTS

    def value(self, schema: Any, levels: int, references: int) -> Any:
        """A value of the form of a schema in the root."""
        self._left -= 1
        schema, references = self._resolved(schema, references)
        if not isinstance(schema, Mapping) or levels > MOST_LEVELS or self._left < 0:
            return None
        kind = _kind(schema)
        if kind == "object":
            return self._object(schema, levels, references)
        if kind == "array":
            part = self.value(schema.get("items"), levels + 1, references)
            return [part] if self._text and _holds(part, self._text) else []
        return {"string": self._text, "number": 0, "integer": 0}.get(kind)

    def _object(self, schema: Mapping[str, Any], levels: int, references: int) -> dict[str, Any]:
        parts = schema.get("properties")
        made = {}
        for key, part in parts.items() if isinstance(parts, Mapping) else ():
            if self._left < 0:
                break
            made[key] = self.value(part, levels + 1, references)
        return made

    def _resolved(self, schema: Any, references: int) -> tuple[Any, int]:
        """What a schema stands for behind references and alternatives, and how many references it took."""
        for _ in range(MOST_LEVELS):
            if not isinstance(schema, Mapping):
                break
            options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
            if isinstance(reference := schema.get("$ref"), str):
                references += 1
                schema = referred(self._root, reference) if references <= MAX_REFERENCES else None
            elif isinstance(options, list) and options and "type" not in schema:
                schema = next((one for one in options if _kind(one) != "null"), options[0])
            else:
                break
        return schema, references


def _kind(schema: Any) -> str:
    """The type that a schema allows; the first other than null of several."""
    if not isinstance(schema, Mapping):
        return ""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "")
    if isinstance(kind, str) and kind:
        return kind
    if "properties" in schema:
        return "object"
    return "string" if "enum" in schema else ""


def from_value(value: Any, text: Any) -> Any:
    """A value of the form of another one: texts are this one, numbers 0, other scalars null."""
    if isinstance(value, str):
        return text
    if isinstance(value, Mapping):
        return {key: from_value(part, text) for key, part in value.items()}
    if isinstance(value, list):
        part = from_value(value[0], text) if value else None
        return [part] if text and _holds(part, text) else []
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return 0
    return None


def from_paths(paths: Sequence[Sequence[str | int]], text: Any) -> Any:
    """An object that has something at each of these paths."""
    made: Any = {}
    for path in paths:
        made = _with(made, list(path), text)
    return made


def _with(value: Any, path: list[str | int], text: Any) -> Any:
    if not path:
        return value or text
    first, rest = path[0], path[1:]
    if isinstance(first, int):
        inner = value[0] if isinstance(value, list) and value else None
        return [_with(inner, rest, text)]
    known = value if isinstance(value, dict) else {}
    return {**known, first: _with(known.get(first), rest, text)}


def _holds(value: Any, text: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_holds(part, text) for part in value.values())
    if isinstance(value, list):
        return any(_holds(part, text) for part in value)
    return isinstance(value, str) and value == text


def texts_in_schema(schema: Any) -> list[str]:
    """The texts that a schema lists under `enum`, as far as it is looked at."""
    listed = (
        part.schema.get("enum")
        for part in islice(parts_of(schema), MOST_PARTS)
        if isinstance(part.schema, Mapping)
    )
    return [
        text for own in listed if isinstance(own, list) for text in own if isinstance(text, str)
    ]
