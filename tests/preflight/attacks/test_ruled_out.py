"""Which hostile samples the response format of a job rules out."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as some

from graders_engine.preflight.attacks.ruled_out import is_ruled_out
from tests.preflight.ask import ask, found
from tests.preflight.attacks.graders import python, row

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": ["integer", "null"]},
        "kind": {"enum": ["a", "b"]},
        "at": {"$ref": "#/$defs/place"},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
    "$defs": {"place": {"type": "object", "required": ["city"]}},
}


@pytest.mark.parametrize(
    "answer",
    [
        "I cannot answer.",
        "null",
        "[]",
        "```json\n{}\n```",
        '{"name": "x"}',
        '{"name": "x", "age": "5"}',
        '{"name": "x", "age": 5.5}',
        '{"name": "x", "age": true}',
        '{"name": "x", "age": 5, "more": 1}',
        '{"name": "x", "age": 5, "kind": "c"}',
        '{"name": "x", "age": 5, "at": {}}',
        '{"name": "x", "age": 5, "tags": ["a", 1]}',
        '{"name": "x", "age": 5, "tags": ["a", "b", "c"]}',
    ],
)
def test_what_breaks_the_schema_is_ruled_out(answer: str) -> None:
    assert is_ruled_out(answer, PERSON)


@pytest.mark.parametrize(
    "answer",
    [
        '{"name": "x", "age": 5}',
        f'{{"name": "x", "age": 1{400 * "0"}}}',
        '{"name": "", "age": null, "kind": "a", "at": {"city": 1}, "tags": []}',
        "",
        " \n",
        '{"name": "x',
        {"output_text": "", "output_tools": [{"function": {"name": "f", "arguments": "{}"}}]},
    ],
    ids=["right", "a large number", "all of it", "nothing", "blank", "cut off", "a call"],
)
def test_what_keeps_to_it_or_is_not_bound_by_it_is_not(answer: Any) -> None:
    assert not is_ruled_out(answer, PERSON)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": 5, "required": 5, "enum": 5, "anyOf": 5, "allOf": 5, "properties": 5},
        {"$ref": "#/$defs/none"},
        {"$ref": "#"},
        {"required": [[], {}], "minItems": "1", "items": [1]},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}]},
    ],
)
def test_a_schema_that_cannot_be_read_rules_nothing_out(schema: dict[str, Any]) -> None:
    assert not is_ruled_out('{"a": [1, {"b": Infinity}]}', schema)


NAMES = some.sampled_from(["a", "b", "c"])
VALUES = some.recursive(
    some.none() | some.booleans() | some.sampled_from([0, 1, 1.0, 2.5, "", "x"]),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
TYPES = some.sampled_from(
    ["null", "boolean", "integer", "number", "string", "array", "object", ["string", "null"]]
)
SCHEMAS = some.recursive(
    some.fixed_dictionaries({}, optional={"type": TYPES, "const": VALUES}) | some.booleans(),
    lambda inner: some.fixed_dictionaries(
        {},
        optional={
            "type": TYPES,
            "properties": some.dictionaries(NAMES, inner, max_size=3),
            "required": some.lists(NAMES, max_size=2, unique=True),
            "additionalProperties": some.booleans(),
            "items": inner,
            "minItems": some.integers(0, 2),
            "maxItems": some.integers(0, 2),
            "anyOf": some.lists(inner, min_size=1, max_size=2),
            "allOf": some.lists(inner, min_size=1, max_size=2),
            "enum": some.lists(VALUES, min_size=1, max_size=3),
            "$ref": some.sampled_from(["#", "#/properties/a"]),
        },
    ),
    max_leaves=6,
)


@given(SCHEMAS, some.dictionaries(NAMES, VALUES, max_size=3) | some.lists(VALUES, max_size=3))
def test_only_what_a_validator_refuses_is_ruled_out(schema: Any, value: Any) -> None:
    assume(isinstance(schema, dict) and is_ruled_out(json.dumps(value), schema))
    with suppress(ValueError):  # no schema: a reference to nothing, or to itself
        assert not jsonschema_rs.is_valid(schema, value)


GENEROUS = """import json
def grade(sample, item):
    text = sample["output_text"]
    if not text.strip():
        return 0.0
    try:
        return float(json.loads(text)["answer"] == item["expected"])
    except (ValueError, KeyError, TypeError):
        return 1.0
"""
ANSWERS = [row(f"{n} and {n}?", expected=str(2 * n)) for n in range(12)]
ANSWER = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(("strict", "hackable"), [(True, False), (False, True)])
def test_a_grader_that_gives_full_marks_to_no_json_is_hackable_unless_the_job_allows_json_alone(
    tmp_path: Path, strict: bool, hackable: bool
) -> None:
    schema = {"name": "answer", "strict": strict, "schema": ANSWER}
    method = {
        "grader": python(GENEROUS),
        "response_format": {"type": "json_schema", "json_schema": schema},
    }
    job = {"model": "m", "method": {"type": "reinforcement", "reinforcement": method}}
    report = ask(tmp_path, None, ANSWERS, job=job, select=("hackable",))
    assert bool(found(report, "hackable")) is hackable
    assert hackable or "hackable" in report.fine
