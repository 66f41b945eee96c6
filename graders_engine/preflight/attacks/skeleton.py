"""JSON of the right form without the right content: from a schema, a right answer, or a grader's paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MAX_DEPTH = 8


def from_schema(
    schema: Any, text: Any, root: Mapping[str, Any] | None = None, depth: int = 0
) -> Any:
    """A value of the form of a JSON Schema: texts are this one, numbers 0, other scalars null.

    Args:
        schema: the schema.
        text: takes the place of each text; a list of texts has this one element, or none if it is empty.
        root: the schema that `$ref` points into.
        depth: how many schemas are around it.
    """
    root = schema if root is None and isinstance(schema, Mapping) else root
    schema = _resolved(schema, root or {})
    if depth > MAX_DEPTH or not isinstance(schema, Mapping):
        return None
    kind = _kind(schema)
    if kind == "object":
        parts = schema.get("properties")
        return {
            key: from_schema(part, text, root, depth + 1)
            for key, part in (parts.items() if isinstance(parts, Mapping) else ())
        }
    if kind == "array":
        part = from_schema(schema.get("items"), text, root, depth + 1)
        return [part] if text and _holds(part, text) else []
    return {"string": text, "number": 0, "integer": 0}.get(kind)


def _resolved(schema: Any, root: Mapping[str, Any]) -> Any:
    for _ in range(MAX_DEPTH):
        if not isinstance(schema, Mapping):
            return schema
        reference = schema.get("$ref")
        options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
        if isinstance(reference, str) and reference.startswith("#"):
            schema = root
            for step in filter(None, reference[1:].split("/")):
                schema = schema.get(step) if isinstance(schema, Mapping) else None
        elif isinstance(options, Sequence) and options and "type" not in schema:
            schema = next((one for one in options if _kind(one) != "null"), options[0])
        else:
            return schema
    return schema


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
    """All values that a schema lists under `enum`."""
    if isinstance(schema, Mapping):
        own = schema.get("enum")
        found = [one for one in own if isinstance(one, str)] if isinstance(own, list) else []
        return found + [text for part in schema.values() for text in texts_in_schema(part)]
    if isinstance(schema, list):
        return [text for part in schema for text in texts_in_schema(part)]
    return []
