"""Which answers no model can give, for the job's response format has a strict schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graders_engine.preflight.grader.response_schema import target_of, types_in
from graders_engine.preflight.references import Sample
from graders_engine.preflight.sample_parts import calls_of, json_of, text_of

_DEEPEST = 32
_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or value.is_integer()),
    "number": lambda value: _is_number(value),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def strict_schema(form: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The schema of a response format that holds for every answer; None if there is none."""
    inner = form.get("json_schema", form) if form else None
    if not isinstance(inner, Mapping) or inner.get("strict") is not True:
        return None
    schema = inner.get("schema")
    return schema if isinstance(schema, Mapping) else None


def is_ruled_out(sample: Sample, schema: Mapping[str, Any]) -> bool:
    """Whether no answer that keeps to a schema is this one.

    An answer that is cut off is possible: nothing at all, or the start of an object. So are calls of tools,
    which no schema of the answer binds.

    >>> is_ruled_out("A refusal.", {"type": "object"}), is_ruled_out('{"a', {"type": "object"})
    (True, False)
    """
    text = text_of(sample).strip()
    if not text or calls_of(sample):
        return False
    value = json_of(text)
    if value is None:
        return list(types_in(schema)) == ["object"] and not text.startswith("{")
    return not _Fitting(schema).fits(value, schema)


class _Fitting:
    """Whether values may be valid by a schema: what is not understood allows everything."""

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
        return not (_is_number(fewest) and len(value) < fewest) and not (
            _is_number(most) and len(value) > most
        )
    if isinstance(value, dict):
        known = _properties(schema)
        closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
        return all(
            key in value for key in _listed(schema, "required") if isinstance(key, str)
        ) and (not closed or set(value) <= set(known))
    return True


def _inside(value: Any, schema: Mapping[str, Any]) -> Sequence[tuple[Any, Any]]:
    """What is inside of a value, each with its schema."""
    if isinstance(value, list) and "prefixItems" not in schema:
        return [(part, schema.get("items", True)) for part in value]
    if isinstance(value, dict):
        known = _properties(schema)
        return [(part, known.get(key, True)) for key, part in value.items()]
    return ()


def _listed(schema: Mapping[str, Any], key: str) -> list[Any]:
    found = schema.get(key)
    return list(found) if isinstance(found, list) else []


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
