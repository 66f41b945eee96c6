"""The response format of a job, and what its schema says of a path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from graders_engine.language.scope import Step
from graders_engine.preflight.schemas.form import given_format
from graders_engine.preflight.schemas.walk import target_of, types_in

Presence = Literal["required", "optional", "open", "absent"]
"""What a schema says of a key: always there, allowed and named, allowed but not named, or not allowed."""
_GRAVEST: tuple[Presence, ...] = ("required", "optional", "open", "absent")
_MOST_SCHEMAS = 64
_LONGEST_INDEX = 9


def response_format(job: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The response format in a job's request; None if it has none."""
    value = given_format(job)
    return value if isinstance(value, Mapping) else None


def schema_in(found: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The JSON schema of a response format; None if it has none."""
    schema = raw_schema(found)
    return schema if isinstance(schema, Mapping) else None


def raw_schema(found: Any) -> Any:
    """What a response format has for a schema, whatever it is; None without one."""
    inner = found.get("json_schema") if isinstance(found, Mapping) else None
    schemas = (one.get("schema") for one in (inner, found) if isinstance(one, Mapping))
    return next((schema for schema in schemas if schema is not None), None)


def presence(schema: Mapping[str, Any], steps: Sequence[Step]) -> tuple[Presence, int]:
    """What a schema says of a path, and of which step it says so: the first of the gravest."""
    here: list[Any] = [schema]
    gravest: Presence = "required"
    at = 0
    for position, step in enumerate(steps):
        here = list(_plain(here, schema))
        if not here or any(isinstance(one, Mapping) and _holds_text(one) for one in here):
            break  # nothing is known of what is inside
        found = [_step(one, step) for one in here]
        kind = _together([how for how, _ in found])
        if _GRAVEST.index(kind) > _GRAVEST.index(gravest):
            gravest, at = kind, position
        here = [inner for how, inner in found if how != "absent" and inner is not None]
        if kind in ("open", "absent"):
            break
    return gravest, at


def _at(schema: Mapping[str, Any], steps: Sequence[Step]) -> list[Mapping[str, Any]]:
    here: list[Any] = [schema]
    for step in steps:
        found = [_step(one, step) for one in _plain(here, schema)]
        here = [inner for _, inner in found if inner is not None]
    return [one for one in _plain(here, schema) if isinstance(one, Mapping)]


def is_list_at(schema: Mapping[str, Any], steps: Sequence[Step]) -> bool:
    """Whether a schema has a list at a path."""
    found = _at(schema, steps)
    return bool(found) and all(_is_list(one) for one in found)


def keys_at(schema: Mapping[str, Any], steps: Sequence[Step]) -> tuple[str, ...]:
    """The keys that a schema names at a path."""
    named = (one.get("properties") for one in _at(schema, steps))
    return tuple(
        dict.fromkeys(
            key for properties in named if isinstance(properties, Mapping) for key in properties
        )
    )


def _together(kinds: Iterable[Presence]) -> Presence:
    """What several alternatives say: absent only if all do, required only if all do."""
    every = set(kinds)
    if every == {"absent"}:
        return "absent"
    if every <= {"required"}:
        return "required"
    return "open" if every <= {"open", "absent"} else "optional"


def _plain(schemas: Iterable[Any], root: Mapping[str, Any]) -> Iterator[Any]:
    """Schemas without references and alternatives; those that allow null only are left out."""
    stack = list(schemas)
    seen: set[int] = set()
    while stack and len(seen) < _MOST_SCHEMAS:
        schema = stack.pop()
        if not isinstance(schema, Mapping):
            yield schema
            continue
        if id(schema) in seen or schema.get("type") == "null":
            continue
        seen.add(id(schema))
        if isinstance(reference := schema.get("$ref"), str):
            stack.append(target_of(root, reference))
            continue
        inner = [one for key in ("anyOf", "oneOf") for one in _listed(schema, key)]
        if inner and "properties" not in schema:
            stack += inner
        elif "allOf" in schema:
            yield _merged([schema, *(_one(part, root) for part in _listed(schema, "allOf"))])
        else:
            yield schema


def _one(schema: Any, root: Mapping[str, Any]) -> Any:
    reference = schema.get("$ref") if isinstance(schema, Mapping) else None
    return target_of(root, reference) if isinstance(reference, str) else schema


def _merged(parts: Sequence[Any]) -> Mapping[str, Any]:
    """What all of several schemas of objects say together."""
    known = [part for part in parts if isinstance(part, Mapping)]
    properties = {key: one for part in known for key, one in _properties(part).items()}
    required = [key for part in known for key in _listed(part, "required")]
    closed = any(part.get("additionalProperties") is False for part in known)
    return {"properties": properties, "required": required, "additionalProperties": not closed}


def _holds_text(schema: Mapping[str, Any]) -> bool:
    """Whether a value may be a text, in which JSON may stand."""
    types = types_in(schema)
    return "string" in types


def _listed(schema: Mapping[str, Any], key: str) -> Sequence[Any]:
    """The list under a key; an empty one where something else is there."""
    found = schema.get(key)
    return found if isinstance(found, list) else []


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def _step(schema: Any, step: Step) -> tuple[Presence, Any]:
    """What a plain schema says of a step, and the schema of what is there."""
    if not isinstance(schema, Mapping):
        return ("absent", None) if schema is False else ("open", None)
    types = types_in(schema)
    if isinstance(step, int) or (
        _is_list(schema) and step.isdecimal() and len(step) < _LONGEST_INDEX
    ):
        return _element(schema, types, int(step))
    if types and "object" not in types:
        return "absent", None
    properties = _properties(schema)
    if step in properties:
        required = step in _listed(schema, "required")
        return ("required" if required else "optional"), properties[step]
    patterns = schema.get("patternProperties")
    for pattern, inner in patterns.items() if isinstance(patterns, Mapping) else ():
        try:
            if re.search(pattern, step):
                return "optional", inner
        except (re.error, OverflowError, RecursionError):
            return "open", None
    return ("absent" if schema.get("additionalProperties") is False else "open"), None


def _is_list(schema: Mapping[str, Any]) -> bool:
    types = types_in(schema)
    return "array" in types or (not types and ("items" in schema or "prefixItems" in schema))


def _element(schema: Mapping[str, Any], types: Sequence[Any], index: int) -> tuple[Presence, Any]:
    if types and "array" not in types:
        return "absent", None
    first = schema.get("prefixItems")
    if isinstance(first, list) and 0 <= index < len(first):
        return "required", first[index]
    fewest, most = schema.get("minItems", 0), schema.get("maxItems")
    if isinstance(most, int) and index >= most:
        return "absent", None
    sure = isinstance(fewest, int) and fewest > (index if index >= 0 else -index - 1)
    # That a list may be empty is no fault of its schema: strict schemas cannot say otherwise.
    return ("required" if sure or index in (0, -1) else "optional"), schema.get("items", True)
