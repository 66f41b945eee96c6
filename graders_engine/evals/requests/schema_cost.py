"""What it can cost to check an item against a JSON Schema, found without an item."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from graders_engine.language import strict_json

MAX_BYTES = 256 << 10
"""Longest schema, as JSON."""
MAX_COST = 100_000
"""Most visits of subschemas and parts of patterns, with every reference and repetition written out."""
MAX_DEPTH = 200
"""Deepest chain of subschemas and references."""
_ELSEWHERE = 1_000
"""The cost of a reference to nothing in the schema: those of JSON Schema itself are known everywhere."""
_SAME_VALUE = (
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "extends",
)
_INSIDE = (
    "additionalItems", "additionalProperties", "contains", "contentSchema", "items", "patternProperties",
    "prefixItems", "properties", "propertyNames", "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_BY_NAME = ("properties", "patternProperties", "dependentSchemas", "dependencies")
_ANCHORS = ("$anchor", "$dynamicAnchor")
_COUNTS = re.compile(r"\{(\d+)(?:,(\d*))?\}")


@dataclass(slots=True)
class Cost:
    """What a schema costs.

    Attributes:
        visits: of subschemas for each value of an item; the parts of patterns and the values of `enum` count.
        recursive: whether it refers to itself, so that the depth of an item can multiply the visits.
        pairs: whether it compares the values of an item with each other.
    """

    visits: int = 0
    recursive: bool = False
    pairs: bool = False

    def of(self, size: int) -> float:
        """A bound on the steps that an item takes that has this many bytes of JSON."""
        if self.recursive:
            return math.inf
        return self.visits * size * (size if self.pairs else 1)


def cost_of(schema: Any) -> Cost:
    """The cost of a schema.

    Raises:
        ValueError: it is more than a schema may cost; the message is a sentence.
    """
    size = len(strict_json.encode(schema))
    if size > MAX_BYTES:
        raise ValueError(f"it is {size} bytes of JSON; at most {MAX_BYTES} are taken.")
    return _Count(schema).all()


@dataclass(slots=True)
class _Count:
    root: Any
    cost: Cost = field(default_factory=Cost)
    known: dict[int, int] = field(default_factory=dict)
    path: dict[int, int] = field(default_factory=dict)
    """The subschemas from the root to the one that is counted, each with its depth in the item."""
    resources: list[tuple[str, Any]] = field(default_factory=list)
    anchors: dict[str, list[Any]] = field(default_factory=dict)

    def all(self) -> Cost:
        self._find_names(self.root, 0)
        self.resources = [("", self.root), *self.resources]
        self.cost.visits = self._visits(self.root, 0)
        return self.cost

    def _find_names(self, value: Any, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ValueError(f"it nests deeper than {MAX_DEPTH} levels.")
        if isinstance(value, dict):
            for key in ("$id", "id"):
                if isinstance(value.get(key), str):
                    self.resources.append((value[key], value))
            for key in _ANCHORS:
                if isinstance(value.get(key), str):
                    self.anchors.setdefault(value[key], []).append(value)
        for inner in _values(value):
            self._find_names(inner, depth + 1)

    def _visits(self, schema: Any, inside: int) -> int:
        if not isinstance(schema, dict):
            return 1
        key = id(schema)
        if key in self.path:
            if self.path[key] == inside:
                raise ValueError(
                    "a subschema of it refers to itself, for the same part of an item."
                )
            self.cost.recursive = True
            return 1
        if key in self.known:
            return self.known[key]
        if len(self.path) > MAX_DEPTH:
            raise ValueError(f"its references make a chain of more than {MAX_DEPTH} subschemas.")
        self.path[key] = inside
        visits = 1 + self._own(schema)
        for deeper, one in self._children(schema):
            visits += self._visits(one, inside + deeper)
            if visits > MAX_COST:
                raise ValueError(
                    f"with each `$ref` and each repetition of a pattern written out it has more than "
                    f"{MAX_COST} parts: simplify it."
                )
        del self.path[key]
        self.known[key] = visits
        return visits

    def _own(self, schema: dict[str, Any]) -> int:
        """The cost of the keywords that hold no schemas."""
        if schema.get("uniqueItems") is True:
            self.cost.pairs = True
        patterns = schema.get("patternProperties")
        visits = sum(map(_parts, patterns)) if isinstance(patterns, dict) else 0
        if isinstance(schema.get("pattern"), str):
            visits += _parts(schema["pattern"])
        values = (schema.get(key) for key in ("enum", "const", "required", "dependentRequired"))
        return visits + sum(map(_size, values))

    def _children(self, schema: dict[str, Any]) -> Iterator[tuple[bool, Any]]:
        """The subschemas that a value is checked against, and whether that is a part of the value."""
        for key in _SAME_VALUE:
            yield from ((False, one) for one in _schemas(key, schema.get(key)))
        yield from ((False, one) for one in _schemas("dependencies", schema.get("dependencies")))
        for key in _REFERENCES:
            if isinstance(schema.get(key), str):
                yield from ((False, one) for one in self._targets(schema[key]))
        for key in _INSIDE:
            yield from ((True, one) for one in _schemas(key, schema.get(key)))

    def _targets(self, reference: str) -> Iterator[Any]:
        """What a reference may mean: all of it counts, as bases are not resolved."""
        base, _, name = reference.partition("#")
        name = unquote(name)
        if name and not name.startswith("/"):
            found = self.anchors.get(name, [])
        else:
            found = [
                one
                for own, resource in self.resources
                if not base or not own or own.rstrip("#").endswith(base.rsplit("/", 1)[-1])
                for one in _at(resource, name)
                if name or not base or own
            ]
        if not found:
            found = [{"enum": [0] * _ELSEWHERE}]
            self.known[id(found[0])] = _ELSEWHERE
            self.anchors.setdefault("#", []).extend(found)  # kept, so that its id stays its own
        yield from {id(one): one for one in found}.values()


def _values(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _schemas(key: str, value: Any) -> Iterator[Any]:
    if isinstance(value, list) and key in _LISTS:
        yield from value
    elif isinstance(value, dict) and key in _BY_NAME:
        yield from value.values()
    elif value is not None:
        yield value


def _at(resource: Any, pointer: str) -> Iterator[Any]:
    """What a JSON pointer leads to, if anything."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(resource, dict) and name in resource:
            resource = resource[name]
        elif isinstance(resource, list) and name.isascii() and name.isdigit():
            if len(name) > 6 or int(name) >= len(resource):
                return
            resource = resource[int(name)]
        else:
            return
    yield resource


def _size(value: Any) -> int:
    if isinstance(value, (dict, list)):
        return sum(map(_size, _values(value))) + 1
    return value is not None


def _parts(pattern: str) -> int:
    """A bound on the states of a pattern whose repetitions are written out."""
    counts = [max(1, int((most or least)[:9])) for least, most in _COUNTS.findall(pattern)]
    if "){" in pattern:  # a repetition may hold others
        return min(len(pattern) * math.prod(counts[:20]), MAX_COST)
    return len(pattern) + sum(counts)
