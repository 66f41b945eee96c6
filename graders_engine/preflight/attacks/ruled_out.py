"""Which answers no model can give, for the job's response format has a strict schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graders_engine.preflight.references import Sample
from graders_engine.preflight.sample_parts import calls_of, json_of, text_of
from graders_engine.preflight.schemas.fits import allows
from graders_engine.preflight.schemas.walk import types_in


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
    return not allows(value, schema, schema)
