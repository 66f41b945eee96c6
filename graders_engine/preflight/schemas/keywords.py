"""Keywords of JSON Schema that are not what they must be."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from graders_engine.language.kinds import kind_of
from graders_engine.language.spelling import nearest
from graders_engine.preflight.schemas.walk import (
    LISTS,
    MAPS,
    MOST_PARTS,
    NOTHING,
    SCHEMAS,
    parts_of,
    referred,
)

TYPES = ("null", "boolean", "object", "array", "number", "integer", "string")
_BROKEN = (
    "missing ), unterminated", "unterminated character set", "unbalanced parenthesis", "nothing to repeat",
    "bad character range", "bad escape (end",
)  # fmt: skip
"""What Python says of a pattern that is wrong in any language of patterns; they differ in much else."""
_MOST_REFERENCES = 64


class SchemaMistake(NamedTuple):
    """What is wrong with a schema.

    Attributes:
        path: where, as `schema.properties.a.minLength`.
        what: what is there and what must be, to be read after the path.
    """

    path: str
    what: str

    def __str__(self) -> str:
        """A clause with both."""
        return f"`{self.path}` {self.what}"


class _Rule(NamedTuple):
    holds: Callable[[Any], bool]
    must: str


def _is_number(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and (isinstance(value, int) or math.isfinite(value))


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_schema(value: Any) -> bool:
    return isinstance(value, (Mapping, bool))


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _are_schemas(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


_COUNT = _Rule(_is_count, "a whole number from 0")
_NUMBER = _Rule(_is_number, "a number")
_TEXT = _Rule(_is_text, "a string")
_FLAG = _Rule(lambda value: isinstance(value, bool), "true or false")
_RULES: Mapping[str, _Rule] = {
    **dict.fromkeys(
        ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties",
         "minContains", "maxContains"), _COUNT,
    ),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _NUMBER),
    **dict.fromkeys(
        ("format", "title", "description", "$id", "$schema", "$anchor", "$comment", "pattern", "$ref"),
        _TEXT,
    ),
    **dict.fromkeys(("uniqueItems", "deprecated", "readOnly", "writeOnly"), _FLAG),
    **dict.fromkeys(LISTS, _Rule(_are_schemas, "a list with at least one schema")),
    **dict.fromkeys(
        MAPS, _Rule(lambda value: isinstance(value, Mapping), "an object with a schema for each name")
    ),
    "multipleOf": _Rule(lambda value: _is_number(value) and value > 0, "a number above 0"),
    "enum": _Rule(lambda value: isinstance(value, list) and bool(value), "a list with at least one value"),
    "required": _Rule(_are_texts, "a list of names"),
    "examples": _Rule(lambda value: isinstance(value, list), "a list"),
    "dependentRequired": _Rule(
        lambda value: isinstance(value, Mapping) and all(map(_are_texts, value.values())),
        "an object with a list of names for each name",
    ),
}  # fmt: skip
KEYWORDS = ("type", "const", "default", *_RULES, *SCHEMAS)
"""The keywords of JSON Schema, without those that only refer to other schemas in other ways."""


def faults_of(schema: Any, path: str = "schema") -> Iterator[SchemaMistake]:
    """All that is wrong with a schema by JSON Schema itself, in the first `MOST_PARTS` schemas of it.

    A schema of answers must be an object: `true`, which would allow everything, is none.
    """
    if not isinstance(schema, Mapping):
        yield SchemaMistake(path, f"is {_described(schema)}, and must be an object")
        return
    for part in islice(parts_of(schema, path), MOST_PARTS):
        if not _is_schema(part.schema):
            yield SchemaMistake(
                part.path, f"is {_described(part.schema)}, and must be a schema: an object"
            )
        elif isinstance(part.schema, Mapping):
            for key, given in part.schema.items():
                if what := _wrong(key, given, schema):
                    yield SchemaMistake(f"{part.path}.{key}", what)
                elif key == "patternProperties":
                    yield from _wrong_names(f"{part.path}.{key}", given)


def _wrong(key: str, given: Any, root: Mapping[str, Any]) -> str:
    """What is wrong with a keyword; empty if nothing is."""
    if key == "type":
        return _wrong_type(given)
    if (rule := _RULES.get(key)) is not None:
        if not rule.holds(given):
            return f"is {_described(given)}, and must be {rule.must}"
        if key == "pattern":
            return _wrong_pattern(given)
        return _wrong_reference(given, root) if key == "$ref" else ""
    near = nearest(key, KEYWORDS) if key not in KEYWORDS else None
    return f"is no keyword of JSON Schema, and says nothing: did you mean `{near}`?" if near else ""


def _wrong_type(given: Any) -> str:
    names = given if isinstance(given, list) else [given]
    known = ", ".join(TYPES)
    if not names:
        return f"is an empty list, and must name one of {known}"
    wrong = [one for one in names if not isinstance(one, str) or one not in TYPES]
    return f"is {_described(wrong[0])}, and must be one of {known}" if wrong else ""


def _wrong_pattern(given: str) -> str:
    try:
        re.compile(given)
    except re.error as error:
        return f"is no regular expression: {error.msg}" if error.msg.startswith(_BROKEN) else ""
    except (OverflowError, RecursionError):
        return "is no regular expression that can be used: it repeats or nests too often"
    return ""


def _wrong_names(path: str, given: Mapping[str, Any]) -> Iterator[SchemaMistake]:
    for pattern in given:
        if what := _wrong_pattern(str(pattern)):
            yield SchemaMistake(f"{path}.{pattern}", what)


def _wrong_reference(given: str, root: Mapping[str, Any]) -> str:
    if not (given == "#" or given.startswith("#/")):
        return f"is {_described(given)}, and must point into this schema, as #/$defs/NAME does"
    target: Any = root
    for _ in range(_MOST_REFERENCES):
        target = referred(root, given)
        if target is NOTHING:
            return f"points to {given}, where nothing is"
        further = target.get("$ref") if isinstance(target, Mapping) else None
        if not isinstance(further, str) or len(target) > 1:
            return "" if _is_schema(target) else f"points to {given}, which is {kind_of(target)}"
        given = further
    return "leads in a circle of references, and to no schema"


def _described(value: Any) -> str:
    """A value in a message: short ones themselves, others by their kind."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value and len(value) <= 40 and value.isprintable():
        return f"the string `{value}`"
    if isinstance(value, (int, float)) and -1e15 < value < 1e15:
        return f"{value}"
    return "an empty list" if value == [] else kind_of(value)
