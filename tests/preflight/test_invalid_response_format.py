"""A response format that no answer can be held to is said to be so, and ends nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from graders_engine.preflight.report import PreflightReport
from graders_engine.preflight.sample_parts import same_answer
from graders_engine.preflight.schemas.form import usable_schema
from graders_engine.preflight.schemas.keywords import faults_of
from graders_engine.report.preflight_verdicts import verdicts
from tests.preflight.ask import EXACT, SUMS, ask, found, only
from tests.preflight.graders import job, json_schema, object_of

ID = "invalid-response-format"
TEXT = {"type": "string"}
READS = {**EXACT, "input": "{{sample.output_json.a}}"}


def report_of(folder: Path, given: Any, **options: Any) -> PreflightReport:
    return ask(folder, READS, SUMS[:6], job=job(given), rows=2, **options)


def nested(levels: int) -> Any:
    schema: Any = TEXT
    for _ in range(levels):
        schema = object_of({"a": schema})
    return schema


def wide(count: int) -> Any:
    return object_of({f"k{number}": TEXT for number in range(count)})


FORMS: Mapping[str, tuple[Any, str]] = {
    "a number": (5, "`response_format` is an integer, and must be an object"),
    "a list": ([], "`response_format` is an array"),
    "a text": ("json", "`response_format` is a string"),
    "false": (False, "`response_format` is a boolean"),
    "without a type": ({}, "`response_format.type` is missing"),
    "of another type": ({"type": "nope"}, "`response_format.type` is no format, `nope`"),
    "misspelt": ({"type": "json_shema"}, "did you mean `json_schema`?"),
    "a type that is a number": ({"type": 5}, "`response_format.type` is an integer"),
    "without a holder": ({"type": "json_schema"}, "`json_schema` is missing"),
    "a holder that is a number": ({"type": "json_schema", "json_schema": 5}, "is an integer"),
    "without a schema": (
        {"type": "json_schema", "json_schema": {"name": "a"}},
        "`json_schema.schema` is missing",
    ),
    "without a name": (
        {"type": "json_schema", "json_schema": {"schema": nested(1)}},
        "`json_schema.name` is missing",
    ),
    "a name with a blank": (
        {"type": "json_schema", "json_schema": {"name": "a b", "schema": nested(1)}},
        "1 to 64 letters",
    ),
    "strict that is a text": (
        {"type": "json_schema", "json_schema": {"name": "a", "strict": "x", "schema": nested(1)}},
        "`json_schema.strict` is a string",
    ),
    "another key": ({"type": "text", "foo": 1}, "`response_format.foo` is no key of it"),
}


@pytest.mark.parametrize(("given", "says"), FORMS.values(), ids=FORMS)
def test_a_form_that_is_none_is_an_error_that_says_what_is_wrong(
    tmp_path: Path, given: Any, says: str
) -> None:
    report = report_of(tmp_path, given)
    finding = only(report, ID)
    assert (finding.severity, says in finding.message) == ("error", True)
    assert report.not_checked["no-response-format"] == f"follows from {ID}"
    valid = next(verdicts(report))
    assert (valid.question, valid.state) == ("Valid?", "error")


@pytest.mark.parametrize(
    "given",
    [
        {"type": "text"},
        {"type": "json_object"},
        json_schema(nested(10)),
        {"type": "json_schema", "name": "a", "strict": True, "schema": nested(1)},
        {"type": "json_schema", "json_schema": {"name": "a", "strict": None, "schema": {}}},
    ],
)
def test_a_form_that_is_right_is_fine(tmp_path: Path, given: Any) -> None:
    assert ID in report_of(tmp_path, given, select=(ID,)).fine


def test_without_a_response_format_there_is_nothing_to_be_fine(tmp_path: Path) -> None:
    assert report_of(tmp_path, None).not_checked[ID] == "the job has no response_format"


def test_a_form_that_is_none_is_not_taken_for_none_at_all(tmp_path: Path) -> None:
    asked = ("no-response-format", "not-in-schema")
    report = report_of(tmp_path, "json", select=asked)
    assert set(report.not_checked) == set(asked)
    assert all(f"see {ID}" in why for why in report.not_checked.values())


INSIDE: Mapping[str, tuple[Any, str]] = {
    "enum": ({"enum": "abc"}, "is the string `abc`, and must be a list"),
    "enum of nothing": ({"enum": []}, "is an empty list"),
    "type": ({"type": ["nope"]}, "is the string `nope`, and must be one of null, boolean"),
    "type of nothing": ({"type": []}, "is an empty list"),
    "type that is an object": ({"type": {}}, "is an object"),
    "minLength": ({"minLength": "a"}, "is the string `a`, and must be a whole number from 0"),
    "minLength below 0": ({"minLength": -1}, "is -1"),
    "maxItems in part": ({"maxItems": 1.5}, "is 1.5"),
    "minimum": ({"minimum": True}, "is true, and must be a number"),
    "multipleOf": ({"multipleOf": 0}, "is 0, and must be a number above 0"),
    "pattern": ({"pattern": "(["}, "is no regular expression: unterminated character set"),
    "pattern that repeats": ({"pattern": "a{99999999999}"}, "repeats or nests too often"),
    "pattern of a name": ({"patternProperties": {"(": TEXT}}, "is no regular expression"),
    "anyOf": ({"anyOf": 5}, "is 5, and must be a list with at least one schema"),
    "anyOf of nothing": ({"anyOf": []}, "is an empty list"),
    "one of anyOf": ({"anyOf": [5]}, "is 5, and must be a schema"),
    "items": ({"items": "x"}, "is the string `x`, and must be a schema"),
    "properties": ({"properties": []}, "must be an object with a schema for each name"),
    "a property": ({"properties": {"b": 5}}, "is 5, and must be a schema"),
    "required": ({"required": [5]}, "must be a list of names"),
    "$ref": ({"$ref": 5}, "is 5, and must be a string"),
    "$ref to nothing": ({"$ref": "#/$defs/gone"}, "points to #/$defs/gone, where nothing is"),
    "$ref to an address": ({"$ref": "https://a.b/c"}, "must point into this schema"),
    "$ref to itself": ({"$ref": "#/properties/a"}, "leads in a circle of references"),
    "$ref to a name": ({"$ref": "#/required"}, "which is an array"),
    "a word that is near": ({"propertys": {}}, "did you mean `properties`?"),
}


@pytest.mark.parametrize(("part", "says"), INSIDE.values(), ids=INSIDE)
def test_a_keyword_that_is_not_what_it_must_be_is_named_with_its_path(
    tmp_path: Path, part: Any, says: str
) -> None:
    finding = only(report_of(tmp_path, json_schema(object_of({"a": part}))), ID)
    assert finding.severity == "error"
    assert says in finding.message
    assert "`schema.properties.a" in finding.message
    (place,) = finding.where
    assert place.path.startswith(
        "method.reinforcement.response_format.json_schema.schema.properties.a"
    )


@pytest.mark.parametrize("schema", [True, False, [], "x", 5, None])
def test_a_schema_that_is_no_object_is_an_error(tmp_path: Path, schema: Any) -> None:
    finding = only(report_of(tmp_path, json_schema(schema)), ID)
    assert "`schema` is " in finding.message
    assert "must be an object" in finding.message


def test_all_mistakes_are_named_at_once_and_many_are_counted(tmp_path: Path) -> None:
    parts = {f"k{number}": {"minLength": "a"} for number in range(30)}
    finding = only(report_of(tmp_path, json_schema(object_of(parts))), ID)
    assert finding.message == "The job's response format has 30 mistakes."
    assert len(finding.details) == 21
    assert finding.details[-1] == "and 10 more"


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"const": None, "x-own": 5, "default": {"a": [1]}, "nullable": True},
        {"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": TEXT}},
        {"anyOf": [TEXT, {"$ref": "#/anyOf/0"}]},
        {"type": ["string", "null"], "pattern": r"^\p{L}+(?<n>a)$", "maxLength": 5.0},
        {"type": "array", "items": [TEXT, True], "uniqueItems": True},
        {"type": "object", "properties": {"enum": {"type": "integer"}, "$ref": TEXT}},
        {"type": "object", "properties": {"next": {"$ref": "#"}}},
    ],
)
def test_what_json_schema_allows_is_no_mistake(schema: Any) -> None:
    assert list(faults_of(schema)) == []


SIZES: Mapping[str, tuple[Any, str, str]] = {
    "11 levels": (nested(11), "warning", "11 levels of objects, of 10 at most"),
    "300 levels": (nested(300), "error", "at least 51 levels of objects, of 10 at most"),
    "900 levels of lists": (
        json.loads('{"items":' * 900 + "{}" + "}" * 900),
        "error",
        "what is deeper than 50 schemas is not looked at",
    ),
    "6,000 properties": (wide(6_000), "error", "6,000 properties, of 5,000 at most"),
    "100,000 properties": (wide(100_000), "error", "100,000 properties, of 5,000 at most"),
    "1,001 values": (
        object_of({"a": {"enum": list(range(1_001))}}),
        "warning",
        "1,001 values of `enum`, of 1,000 at most",
    ),
    "long names": (
        object_of({"n" * 120_001: TEXT}),
        "warning",
        "120,001 characters of names and values, of 120,000 at most",
    ),
    "long values": (
        object_of({"a": {"enum": [f"{number:060}" for number in range(251)]}}),
        "warning",
        "15,060 characters in an `enum` of more than 250 values, of 15,000 at most",
    ),
}


@pytest.mark.parametrize(("schema", "severity", "says"), SIZES.values(), ids=SIZES)
def test_a_schema_that_is_too_large_is_said_to_be_and_ends_nothing(
    tmp_path: Path, schema: Any, severity: str, says: str
) -> None:
    report = report_of(tmp_path, json_schema(schema))
    finding = only(report, ID)
    assert (finding.severity, says in finding.message) == (severity, True)
    assert report.measured["attacks"]


def test_a_size_is_an_error_where_the_service_is_named(tmp_path: Path) -> None:
    given = json_schema(nested(11))
    assert only(report_of(tmp_path, given, service="openai"), ID).severity == "error"


def test_references_that_multiply_end_no_attack(tmp_path: Path) -> None:
    names = {key: {"$ref": "#/$defs/d1"} for key in "abcdefghij"}
    defs = {
        f"d{level}": object_of({key: {"$ref": f"#/$defs/d{level + 1}"} for key in names})
        for level in range(1, 9)
    }
    schema = {**object_of(names), "$defs": {**defs, "d9": TEXT}}
    report = report_of(tmp_path, json_schema(schema))
    assert not found(report, ID)
    assert report.measured["attacks"]


def test_a_schema_with_a_mistake_is_not_used_to_tell_which_answers_there_can_be() -> None:
    assert usable_schema(nested(10)) == nested(10)
    assert usable_schema({"$ref": "#/$defs/gone"}) is None
    assert usable_schema(nested(60)) is None


def test_answers_that_nest_deeply_are_compared_at_once() -> None:
    deep = '{"a":' * 50 + '"x"' + "}" * 50
    assert same_answer(deep, deep.replace("x", " X "))
    assert not same_answer(deep, deep.replace("x", "y"))
