"""What is read of a JSON schema before anything is bound to it; it needs no torch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from graders_engine.training.schema_rules import LARGEST
from graders_engine.training.schemas import MAX_DEPTH, MAX_SCHEMAS, MAX_VALUES, read_schema

S = "schema"
ANYTHING = {"$ref": "#/$defs/any"}


def nested(levels: int) -> Any:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


def refused(schema: Any) -> str:
    with pytest.raises(ValueError, match=r"^`schema[^`]*` ") as error:
        read_schema(schema, S)
    return str(error.value)


def test_what_says_nothing_of_values_is_left_out_and_what_is_referred_to_is_found() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "T",
        "type": "object",
        "x-guidance": {"lenient": True},
        "properties": {"a": {"$ref": "#/$defs/b", "description": "d"}, "c": {"const": 5}},
        "required": ["a"],
        "additionalProperties": False,
        "$defs": {"b": {"type": "string", "maxLength": 3.0, "default": "x"}, "unused": {"not": {}}},
    }
    found = read_schema(schema, S)
    assert found.root.schema == {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/d0"}, "c": {"const": 5}},
        "required": ["a"],
        "additionalProperties": False,
    }
    assert found.defs["d0"].schema == {"type": "string", "maxLength": 3}
    assert [one.name for one in found.root.children] == [
        "schema.properties.a", "schema.properties.c", "schema.additionalProperties",
    ]  # fmt: skip


def test_numbers_get_limits_where_they_have_none_also_in_what_may_be_anything() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "number"},
            "b": {"type": ["number", "null"], "exclusiveMinimum": 0},
            "c": {"type": "number", "minimum": 1e20},
            "d": {"type": "integer"},
            "e": {},
            "f": {"type": "array"},
            "g": {"enum": [1e300]},
            "h": {"minimum": 0, "maximum": 5},
        },
    }
    found = read_schema(schema, S).root.schema
    assert found["properties"] == {
        "a": {"type": "number", "minimum": -LARGEST, "maximum": LARGEST},
        "b": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": LARGEST},
        "c": {"type": "number", "minimum": 1e20},
        "d": {"type": "integer"},
        "e": ANYTHING,
        "f": {"type": "array", "items": ANYTHING},
        "g": {"enum": [1e300]},
        "h": {"minimum": 0, "maximum": 5, "additionalProperties": ANYTHING, "items": ANYTHING},
    }
    assert found["additionalProperties"] == ANYTHING


def test_a_schema_that_is_cut_with_another_is_left_open_as_it_is() -> None:
    parts = [{"type": "object", "properties": {key: {"type": "string"}}} for key in "ab"]
    assert read_schema({"allOf": parts}, S).root.schema == {"allOf": parts}


def test_a_list_of_items_of_older_drafts_is_read_as_that_of_the_newest() -> None:
    old = {"type": "array", "items": [{"type": "null"}], "additionalItems": False}
    found = read_schema(old, S).root.schema
    assert found == {"type": "array", "prefixItems": [{"type": "null"}], "items": False}


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "object", "properties": {"a": {"not": {}}}}, "`schema.properties.a` has `not`"),
        ({"anyOf": [{"type": "null"}, {"uniqueItems": True}]}, "`schema.anyOf[1]` has `uniqueItems`"),
        ({"type": "text"}, "`schema.type` must be one of null, boolean"),
        ({"type": []}, "`schema.type` must be one of"),
        ({"type": ["null", {}]}, "`schema.type` must be one of"),
        ({"enum": "a"}, "`schema.enum` must be a list"),
        ({"required": [1]}, "`schema.required` must be a list of names"),
        ({"pattern": 1}, "`schema.pattern` must be text"),
        ({"minItems": -1}, "`schema.minItems` must be an integer from 0"),
        ({"maxLength": True}, "`schema.maxLength` must be an integer from 0"),
        ({"minimum": "1"}, "`schema.minimum` must be a number"),
        ({"exclusiveMinimum": True}, "`schema.exclusiveMinimum` must be a number"),
        ({"properties": [1]}, "`schema.properties` must be an object"),
        ({"properties": {"a": None}}, "`schema.properties.a` must be a schema"),
        ({"anyOf": []}, "`schema.anyOf` has no schema in it"),
        ({"oneOf": {}}, "`schema.oneOf` must be a list of schemas"),
        ({"$ref": "#/$defs/a"}, "`schema` has no place #/$defs/a"),
        ({"$ref": "a.json"}, "`schema.$ref` must be a pointer into the same schema"),
        ({"$ref": 1}, "`schema.$ref` must be a pointer into the same schema"),
        ({"$ref": "#"}, "`schema` needs itself"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "needs itself"),
        ({"type": "array", "minItems": 1, "items": {"$ref": "#"}}, "needs itself"),
        ({"const": "\ud800"}, "half of a character"),
        ({"minimum": float("inf")}, "is no JSON"),
        ({"description": "x" * 1_000_000}, "1,000,019 bytes"),
        (nested(MAX_DEPTH + 1), f"is deeper than {MAX_DEPTH} levels"),
        (nested(500), "deeper"),
        ({"enum": list(range(MAX_VALUES + 1))}, "more than 10,000 values"),
        ({"anyOf": [{"type": "null"}] * MAX_SCHEMAS}, "more than 5,000 schemas"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)  # fmt: skip
def test_what_cannot_be_bound_is_refused_with_its_place(schema: Any, says: str) -> None:
    assert says in refused(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"$ref": "#"}}},
        {"type": "array", "items": {"$ref": "#"}},
        {"anyOf": [{"type": "null"}, {"type": "array", "minItems": 2, "items": {"$ref": "#"}}]},
        {"type": "array", "uniqueItems": False},
        {"type": "array", "minItems": 1, "prefixItems": [True], "items": {"$ref": "#"}},
        {"$ref": "#/$defs/a~1b%25", "$defs": {"a/b%": {"type": "null"}}},
        nested(MAX_DEPTH),
        {},
    ],
)
def test_a_schema_in_which_an_answer_may_end_is_taken(schema: Any) -> None:
    before = json.dumps(schema)
    read_schema(schema, S)
    assert json.dumps(schema) == before
