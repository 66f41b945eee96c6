"""JSON of the right form without the right content: from a schema, a right answer, or a grader's paths."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from graders_engine.preflight.attacks.fill import ELEMENT, PLAIN, Field, Fill
from graders_engine.preflight.schemas.fits import allows, is_number
from graders_engine.preflight.schemas.walk import MOST_LEVELS, MOST_PARTS, parts_of, referred

MAX_REFERENCES = 8
"""How many references are followed to one place: a schema that refers to itself has no end."""
_MOST_PARTS = 5_000
"""Values in what is made of a schema, in which references may multiply."""
_MOST_REPEATED = 100
"""Elements of a list that a schema wants to be longer."""


def from_schema(schema: Any, text: Any, fill: Fill = PLAIN) -> Any:
    """A value of the form of a JSON Schema: each text is this one, all else is filled with valid values.

    What is nested too deep, referred to too often, or too much in all is null.

    Args:
        schema: the schema; references point into it.
        text: takes the place of each text that may be anything; a list of texts has this one element, or
            none if it is empty.
        fill: what stands elsewhere; without it 0, null or the first value that is valid.
    """
    return _Writing(schema, text, fill).value(schema, 0, 0, ())


class _Writing:
    """Makes one value of a schema."""

    def __init__(self, root: Any, text: Any, fill: Fill) -> None:
        self._root, self._text, self._fill = root, text, fill
        self._left = _MOST_PARTS

    def value(self, schema: Any, levels: int, references: int, field: Field) -> Any:
        """A value of the form of a schema in the root, for a field of the answer."""
        self._left -= 1
        schema, references = self._resolved(schema, references)
        if not isinstance(schema, Mapping) or levels > MOST_LEVELS or self._left < 0:
            return None
        kind = _kind(schema)
        if kind == "object":
            return self._object(schema, levels, references, field)
        if kind == "array":
            return self._list(schema, levels, references, field)
        listed = [schema["const"]] if "const" in schema else schema.get("enum")
        if isinstance(listed, list) and listed:
            return self._one_of(listed, schema, field)
        if kind == "string":
            return self._text
        plain = {"boolean": _plain_booleans(schema), "null": (None,)}.get(kind)
        if kind in ("number", "integer"):
            plain = tuple(_plain_numbers(schema, whole=kind == "integer"))
        return self._filled(schema, field, plain) if plain else None

    def _filled(self, schema: Mapping[str, Any], field: Field, plain: Sequence[Any]) -> Any:
        return self._fill.value(field, lambda value: allows(value, schema, self._root), plain)

    def _one_of(self, listed: Sequence[Any], schema: Mapping[str, Any], field: Field) -> Any:
        if self._text in listed or (_kind(schema) == "string" and not self._fill.keeps):
            return self._text
        return self._filled(schema, field, sorted(listed, key=lambda value: value is None))

    def _list(
        self, schema: Mapping[str, Any], levels: int, references: int, field: Field
    ) -> list[Any]:
        part = self.value(schema.get("items"), levels + 1, references, (*field, ELEMENT))
        fewest = schema.get("minItems", 0)
        fewest = min(int(fewest), _MOST_REPEATED) if is_number(fewest) and fewest > 0 else 0
        if self._text and _holds(part, self._text):
            return [part] * max(fewest, 1)
        made: list[Any] = self._filled(schema, field, [[part] * fewest])
        return made

    def _object(
        self, schema: Mapping[str, Any], levels: int, references: int, field: Field
    ) -> dict[str, Any]:
        parts = schema.get("properties")
        made = {}
        for key, part in parts.items() if isinstance(parts, Mapping) else ():
            if self._left < 0:
                break
            made[key] = self.value(part, levels + 1, references, (*field, str(key)))
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


def _plain_booleans(schema: Mapping[str, Any]) -> Sequence[Any]:
    """Nothing where it may be null, else a boolean."""
    kind = schema.get("type")
    return (None, False, True) if isinstance(kind, list) and "null" in kind else (False, True)


def _plain_numbers(schema: Mapping[str, Any], *, whole: bool) -> Iterator[float]:
    """Numbers of which one is probably valid: 0, 1, and those next to the ends of what is allowed."""
    yield from (0, 1)
    step = schema.get("multipleOf")
    step = step if isinstance(step, int) and step > 0 else 1
    low = [schema.get(key) for key in ("minimum", "exclusiveMinimum")]
    high = [schema.get(key) for key in ("maximum", "exclusiveMaximum")]
    lows = [end for end in low if is_number(end) and math.isfinite(end)]
    highs = [end for end in high if is_number(end) and math.isfinite(end)]
    for end in lows:
        first = -(-math.ceil(end) // step) * step
        yield from (first, first + step, first + 2 * step)
    for end in highs:
        last = math.floor(end) // step * step
        yield from (last, last - step, last - 2 * step)
    if lows and highs and not whole:
        yield (max(lows) + min(highs)) / 2


def from_value(value: Any, text: Any, fill: Fill = PLAIN, field: Field = ()) -> Any:
    """A value of the form of another one: each text is this one, and all else is filled.

    Args:
        value: the other value.
        text: takes the place of each text.
        fill: what stands elsewhere; without it 0 for numbers, and null.
        field: where in the answer the value stands.
    """
    if isinstance(value, str):
        return text
    if isinstance(value, Mapping):
        return {key: from_value(part, text, fill, (*field, key)) for key, part in value.items()}
    plain: Sequence[Any] = (None,)
    if isinstance(value, list):
        part = from_value(value[0], text, fill, (*field, ELEMENT)) if value else None
        if text and _holds(part, text):
            return [part]
        plain = ([],)
    elif is_number(value):
        plain = (0, 1)
    return fill.value(field, lambda _: True, plain)


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
