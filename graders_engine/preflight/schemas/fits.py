"""Whether a value may be valid by a schema, and texts read as what a schema wants in their place."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from graders_engine.preflight.schemas.walk import MOST_LEVELS, target_of, types_in

_DEEPEST = 32
_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: is_number(value) and (isinstance(value, int) or value.is_integer()),
    "number": lambda value: is_number(value),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
_BEYOND: Mapping[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda value, limit: value < limit,
    "maximum": lambda value, limit: value > limit,
    "exclusiveMinimum": lambda value, limit: value <= limit,
    "exclusiveMaximum": lambda value, limit: value >= limit,
    "multipleOf": lambda value, step: (
        isinstance(value, int) and isinstance(step, int) and step > 0 and value % step != 0
    ),
}
"""What a number breaks; whether fractions are multiples is not said, as they are rounded."""
_SPELLED = {"true": True, "false": False, "null": None, "none": None}


def allows(value: Any, schema: Any, root: Mapping[str, Any]) -> bool:
    """Whether a value may be valid by a schema in the root: what is not understood allows everything."""
    return _Fitting(root).fits(value, schema)


class _Fitting:
    """Whether values may be valid by schemas of one root."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._found: dict[tuple[int, int], bool] = {}

    def fits(self, value: Any, schema: Any, depth: int = _DEEPEST) -> bool:
        """Whether a value may be valid."""
        if not isinstance(schema, Mapping) or not depth:
            return schema is not False
        key = id(value), id(schema)
        if key not in self._found:
            self._found[key] = True  # while it is looked at: a schema may refer to itself
            self._found[key] = _is_allowed(value, schema) and self._fits(value, schema, depth - 1)
        return self._found[key]

    def _fits(self, value: Any, schema: Mapping[str, Any], depth: int) -> bool:
        parts = _listed(schema, "allOf")
        if isinstance(reference := schema.get("$ref"), str):
            parts.append(target_of(self._root, reference))
        for key in ("anyOf", "oneOf"):
            some = _listed(schema, key)
            if some and not any(self.fits(value, one, depth) for one in some):
                return False
        return all(self.fits(value, part, depth) for part in parts) and all(
            self.fits(part, inner, depth) for part, inner in _inside(value, schema)
        )


def _is_allowed(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a value may be valid, whatever is inside of it."""
    types = types_in(schema)
    if types and not any(_KINDS.get(str(kind), lambda _: True)(value) for kind in types):
        return False
    if (values := _listed(schema, "enum")) and value not in values:
        return False
    if "const" in schema and value != schema["const"]:
        return False
    if isinstance(value, list):
        fewest, most = schema.get("minItems", 0), schema.get("maxItems", len(value))
        return not (is_number(fewest) and len(value) < fewest) and not (
            is_number(most) and len(value) > most
        )
    if isinstance(value, dict):
        return _has_its_keys(value, schema)
    return not is_number(value) or not any(
        is_number(limit := schema.get(key)) and breaks(value, limit)
        for key, breaks in _BEYOND.items()
    )


def _has_its_keys(value: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    """Whether an object has the keys that are required, and none that are not allowed."""
    closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
    required = (key for key in _listed(schema, "required") if isinstance(key, str))
    return all(key in value for key in required) and (
        not closed or set(value) <= set(_properties(schema))
    )


def _inside(value: Any, schema: Mapping[str, Any]) -> Sequence[tuple[Any, Any]]:
    """What is inside of a value, each with its schema."""
    if isinstance(value, list) and "prefixItems" not in schema:
        return [(part, schema.get("items", True)) for part in value]
    if isinstance(value, dict):
        known = _properties(schema)
        return [(part, known.get(key, True)) for key, part in value.items()]
    return ()


def fitted(value: Any, schema: Any, root: Mapping[str, Any], levels: int = MOST_LEVELS) -> Any:
    """A JSON value whose texts are read as numbers and the like where a schema allows no text.

    Templates make texts of all that they find: of a number that a row has, and an answer should have.

    >>> schema = {"properties": {"count": {"type": "integer"}, "name": {"type": "string"}}}
    >>> fitted({"count": "3", "name": "3"}, schema, schema)
    {'count': 3, 'name': '3'}
    """
    if isinstance(value, str):
        return value if allows(value, schema, root) else _read(value, schema, root)
    if not levels or not isinstance(value, (dict, list)):
        return value
    schemas = list(_plain(schema, root))
    if isinstance(value, list):
        inner = next((one["items"] for one in schemas if "items" in one), True)
        return [fitted(part, inner, root, levels - 1) for part in value]
    known: dict[str, Any] = {}
    for one in schemas:
        known = {**_properties(one), **known}
    return {
        key: fitted(part, known.get(key, True), root, levels - 1) for key, part in value.items()
    }


def _read(text: str, schema: Any, root: Mapping[str, Any]) -> Any:
    """What a text says, if it is valid; else the text."""
    found = _SPELLED.get(text.strip().lower(), text)
    if found is text:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return text
    return found if allows(found, schema, root) else text


def _plain(schema: Any, root: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A schema, and those that it refers to or chooses from; each once."""
    stack, seen = [schema], set[int]()
    while stack:
        one = stack.pop()
        if not isinstance(one, Mapping) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        for key in ("allOf", "oneOf", "anyOf"):
            stack += reversed(_listed(one, key))
        if isinstance(reference := one.get("$ref"), str):
            stack.append(target_of(root, reference))


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a JSON value is a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _listed(schema: Mapping[str, Any], key: str) -> list[Any]:
    found = schema.get(key)
    return list(found) if isinstance(found, list) else []


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}
