"""JSON schemas as answers are bound to them: what no grammar can keep is refused with its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from graders_engine.training.schema_rules import (
    ANY,
    CHOICES,
    NUMBERS,
    anything,
    has_end,
    is_number,
    limit,
    open_up,
)

MAX_SCHEMAS = 5_000
"""Schemas in a schema; the API has this limit for properties."""
MAX_DEPTH = 50
MAX_BYTES = 1_000_000
MAX_VALUES = 10_000
"""Values of all enums, and names of all `required`."""
_COUNTS = ("minProperties", "maxProperties", "minItems", "maxItems", "minLength", "maxLength")
_KEPT = (
    "type", "enum", "const", "required", "pattern", "format", "multipleOf", *_COUNTS, *NUMBERS,
)  # fmt: skip
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_MAPS = ("properties", "patternProperties")
_SINGLE = ("items", "additionalProperties")
_REFUSED = (
    "not", "if", "contains", "uniqueItems", "dependencies", "dependentRequired", "dependentSchemas",
    "propertyNames", "unevaluatedItems", "unevaluatedProperties", "$dynamicRef", "$recursiveRef",
)  # fmt: skip
"""Keywords that no grammar keeps; others that are unknown say nothing, as in JSON Schema itself."""
_TYPES = ("null", "boolean", "object", "array", "number", "integer", "string")


@dataclass(slots=True)
class SubSchema:
    """A schema in a schema.

    Attributes:
        name: where it is, as in `json_schema.schema.properties.a`.
        schema: the same with nothing in it but what is bound; an object, or False.
        children: the schemas in it.
    """

    name: str
    schema: Any
    children: list[SubSchema] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema that was read.

    Attributes:
        root: all of it.
        defs: what is referred to, by name.
    """

    root: SubSchema
    defs: dict[str, SubSchema]

    def places(self) -> Iterator[SubSchema]:
        """All schemas in it."""
        for root in (self.root, *self.defs.values()):
            yield from _all(root)

    def alone(self, place: SubSchema) -> dict[str, Any]:
        """The schema of a place with all that it may refer to."""
        own = place.schema if isinstance(place.schema, dict) else {"enum": []}
        return {**own, "$defs": {name: one.schema for name, one in self.defs.items()}}


def text_of(schema: Any, name: str) -> str:
    """A schema as JSON.

    Args:
        schema: as it was sent.
        name: where it is.

    Raises:
        ValueError: it is none, or too long to be bound.
    """
    try:
        text = json.dumps(schema, allow_nan=False, ensure_ascii=False)
        length = len(text.encode())
    except RecursionError:
        raise ValueError(f"`{name}` nests too deep.") from None
    except UnicodeEncodeError:
        raise ValueError(f"`{name}` has half of a character, a lone surrogate.") from None
    except (ValueError, TypeError) as error:
        raise ValueError(f"`{name}` is no JSON: {error}") from None
    if length > MAX_BYTES:
        raise ValueError(f"`{name}` has {length:,} bytes, and may have {MAX_BYTES:,}.")
    return text


def read_schema(schema: Any, name: str) -> Schema:
    """Read a schema.

    Args:
        schema: as it was sent.
        name: where it is.

    Raises:
        ValueError: it cannot be bound; the sentence names the place.
    """
    if not isinstance(schema, dict):
        raise ValueError(f"`{name}` must be an object.")
    text_of(schema, name)
    reader = _Reader(schema, name)
    found = reader.read()
    _require_ends(found)
    return found


def any_object() -> Schema:
    """The schema of all objects."""
    return read_schema({"type": "object"}, "json_object")


class _Reader:
    """Reads one schema."""

    def __init__(self, schema: dict[str, Any], name: str) -> None:
        self._schema, self._name = schema, name
        self._names: dict[str, str] = {}  # of references, by their pointers
        self._defs: dict[str, SubSchema] = {}
        self._count = self._values = 0
        self._composed = False

    def read(self) -> Schema:
        root = self._place(self._schema, self._name, 0)
        pending = list(self._names)
        while pending:
            for pointer in pending:
                self._refer(pointer)
            pending = [one for one in self._names if self._names[one] not in self._defs]
        found = Schema(root, self._defs)
        self._fill(found)
        return found

    def _refer(self, pointer: str) -> None:
        name = self._name + "".join(f".{part}" for part in _parts(pointer))
        self._defs[self._names[pointer]] = self._place(self._target(pointer), name, 0)

    def _target(self, pointer: str) -> Any:
        value: Any = self._schema
        for part in _parts(pointer):
            if isinstance(value, list):
                value = value[int(part)] if part.isdecimal() and int(part) < len(value) else None
            else:
                value = value.get(part) if isinstance(value, dict) else None
            if value is None:
                raise ValueError(f"`{self._name}` has no place {pointer}, to which a $ref points.")
        return value

    def _place(self, value: Any, name: str, depth: int) -> SubSchema:
        self._count += 1
        if self._count > MAX_SCHEMAS:
            raise ValueError(f"`{self._name}` has more than {MAX_SCHEMAS:,} schemas in it.")
        if depth > MAX_DEPTH:
            raise ValueError(f"`{name}` is deeper than {MAX_DEPTH} levels.")
        if isinstance(value, bool):
            return SubSchema(name, {} if value else False)
        if not isinstance(value, dict):
            raise ValueError(f"`{name}` must be a schema: an object, true or false.")
        place = SubSchema(name, {})
        for key, given in _modern(value).items():
            self._add(place, key, given, depth + 1)
        chosen = [key for key in CHOICES if key in place.schema]
        if "allOf" in chosen or (chosen and len(place.schema) > 1):
            self._composed = True
        return place

    def _add(self, place: SubSchema, key: str, given: Any, depth: int) -> None:
        name = f"{place.name}.{key}"
        if key == "$ref":
            place.schema[key] = f"#/$defs/{self._reference(given, name)}"
        elif key in _LISTS:
            if given == [] and key != "prefixItems":
                raise ValueError(f"`{name}` has no schema in it.")
            place.schema[key] = [
                self._child(place, one, f"{name}[{at}]", depth)
                for at, one in enumerate(_of(list, given, name, "a list of schemas"))
            ]
        elif key in _MAPS:
            place.schema[key] = {
                word: self._child(place, one, f"{name}.{word}", depth)
                for word, one in _of(dict, given, name, "an object").items()
            }
        elif key in _SINGLE:
            place.schema[key] = self._child(place, given, name, depth)
        elif key in _KEPT:
            self._count_values(given)
            place.schema[key] = _require_value(name, key, given)
        elif key in _REFUSED and given is not False:
            raise ValueError(
                f"`{place.name}` has `{key}`, which cannot be kept to while a model answers."
            )

    def _child(self, place: SubSchema, value: Any, name: str, depth: int) -> Any:
        child = self._place(value, name, depth)
        place.children.append(child)
        return child.schema

    def _reference(self, pointer: Any, name: str) -> str:
        if not isinstance(pointer, str) or not (pointer == "#" or pointer.startswith("#/")):
            raise ValueError(f"`{name}` must be a pointer into the same schema, such as #/$defs/a.")
        return self._names.setdefault(pointer, f"d{len(self._names)}")

    def _count_values(self, given: Any) -> None:
        if isinstance(given, list):
            self._values += len(given)
        if self._values > MAX_VALUES:
            raise ValueError(f"`{self._name}` has more than {MAX_VALUES:,} values in its lists.")

    def _fill(self, found: Schema) -> None:
        """Give numbers limits, also those in values that may be anything."""
        for place in found.places():
            if isinstance(place.schema, dict):
                if not self._composed:  # what may be anything cannot be cut with something else
                    open_up(place.schema)
                limit(place.schema)
        if not self._composed:
            self._defs[ANY] = SubSchema(self._name, anything())


def _modern(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of an older draft as one of the newest: a list of `items` has another name there."""
    if not isinstance(schema.get("items"), list):
        return schema
    rest = {key: given for key, given in schema.items() if key not in ("items", "additionalItems")}
    return {
        **rest,
        "prefixItems": schema["items"],
        "items": schema.get("additionalItems", True),
    }


def _parts(pointer: str) -> list[str]:
    parts = unquote(pointer.removeprefix("#")).split("/")[1:]
    return [part.replace("~1", "/").replace("~0", "~") for part in parts]


def _of(kind: type, given: Any, name: str, what: str) -> Any:
    if not isinstance(given, kind):
        raise ValueError(f"`{name}` must be {what}.")
    return given


def _require_value(name: str, key: str, given: Any) -> Any:
    """The value of a keyword in the form that is bound."""
    if key == "type":
        for one in given if isinstance(given, list) and given else [given]:
            if one not in _TYPES:
                raise ValueError(f"`{name}` must be one of {', '.join(_TYPES)}.")
    elif key in ("enum", "required"):
        words = _of(list, given, name, "a list")
        if key == "required" and not all(isinstance(one, str) for one in words):
            raise ValueError(f"`{name}` must be a list of names.")
    elif key in ("pattern", "format"):
        _of(str, given, name, "text")
    elif key in _COUNTS:
        if not is_number(given) or given < 0 or given != int(given):
            raise ValueError(f"`{name}` must be an integer from 0.")
        return int(given)
    elif key != "const" and not is_number(given):
        raise ValueError(f"`{name}` must be a number.")
    return given


def _all(place: SubSchema) -> Iterator[SubSchema]:
    yield place
    for child in place.children:
        yield from _all(child)


def _require_ends(schema: Schema) -> None:
    """Check that an answer can come to its end: no schema may need itself."""
    ending: set[str] = set()

    def ends(name: str) -> bool:
        return name in ending

    while more := {
        name
        for name, place in schema.defs.items()
        if name not in ending and has_end(place.schema, ends)
    }:
        ending |= more
    for place in [schema.root, *schema.defs.values()]:
        if not has_end(place.schema, ends):
            raise ValueError(f"`{place.name}` needs itself, so that no answer has an end.")
