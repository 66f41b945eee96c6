"""What a schema lets a value be: limits for its numbers, what may be anything, and whether it has an end."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

LARGEST = 1e15
"""A number without limits of its own stays below it and has no exponent: few readers take 1e999."""
ANY = "any"
"""The name of the schema of all values."""
NUMBERS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
CHOICES = ("$ref", "allOf", "anyOf", "oneOf")


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a number; a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _may_be(schema: dict[str, Any], *kinds: str) -> bool:
    """Whether a schema says nothing against a value of one of the types, or names one of them."""
    given = schema.get("type")
    if given is None:
        return not any(key in schema for key in (*CHOICES, "enum", "const"))
    return any(kind in given if isinstance(given, list) else kind == given for kind in kinds)


def limit(schema: dict[str, Any]) -> None:
    """Give the numbers of a schema the limits that they do not have."""
    if not _may_be(schema, "number") or "enum" in schema or "const" in schema:
        return
    given = {key: schema[key] for key in NUMBERS if is_number(schema.get(key))}
    least = [given[key] for key in NUMBERS[:2] if key in given]
    most = [given[key] for key in NUMBERS[2:] if key in given]
    if not least and all(one > -LARGEST for one in most):
        schema["minimum"] = -LARGEST
    if not most and all(one < LARGEST for one in least):
        schema["maximum"] = LARGEST


def open_up(schema: dict[str, Any]) -> None:
    """Say where a value may be anything."""
    every = {"$ref": f"#/$defs/{ANY}"}
    if not schema:
        schema |= every
        return
    if "enum" in schema or "const" in schema:
        return
    if _may_be(schema, "object"):
        schema.setdefault("additionalProperties", every)
    if _may_be(schema, "array"):
        schema.setdefault("items", every)


def anything() -> dict[str, Any]:
    """The schema of all values."""
    again = {"$ref": f"#/$defs/{ANY}"}
    return {
        "anyOf": [
            {"type": ["null", "boolean", "string"]},
            {"type": "number", "minimum": -LARGEST, "maximum": LARGEST},
            {"type": "array", "items": again},
            {"type": "object", "additionalProperties": again},
        ]
    }


def has_end(schema: Any, ends: Callable[[str], bool]) -> bool:
    """Whether a value of a schema can come to its end.

    Args:
        schema: with nothing in it but what is bound.
        ends: whether the value of a schema that is referred to can, by its name.
    """
    if schema is False:
        return True  # it can never be fulfilled, which is another fault
    parts = [
        "$ref" not in schema or ends(schema["$ref"].rpartition("/")[2]),
        all(has_end(one, ends) for one in schema.get("allOf", ())),
    ]
    parts += [
        key not in schema or any(has_end(one, ends) for one in schema[key])
        for key in ("anyOf", "oneOf")
    ]
    if schema.get("type") == "object":
        needed = schema.get("required") or ()
        parts += [
            has_end(one, ends) for key, one in schema.get("properties", {}).items() if key in needed
        ]
    if schema.get("type") == "array" and schema.get("minItems"):
        least, first = schema["minItems"], schema.get("prefixItems", [])
        parts += [has_end(one, ends) for one in first[:least]]
        parts.append(least <= len(first) or has_end(schema.get("items", {}), ends))
    return all(parts)
