"""A grader that reads JSON, and the response format of its job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graders_engine.preflight.findings import Finding
from tests.preflight.ask import EXACT, SUMS, ask
from tests.preflight.graders import HEAD, job, json_schema, multi, object_of, python

CHECKS = ("no-response-format", "not-in-schema")
TEXT = {"type": "string"}


def reads(path: str) -> dict[str, Any]:
    return {**EXACT, "input": f"{{{{sample.output_json.{path}}}}}"}


def findings(folder: Path, grader: Any, response_format: Any = None) -> list[Finding]:
    request = job(response_format)
    return list(ask(folder, grader, SUMS, job=request, select=CHECKS).findings)


FORMATS: dict[str, tuple[Any, Any, bool]] = {
    "none": (reads("total"), None, True),
    "text": (reads("total"), {"type": "text"}, True),
    "JSON": (reads("total"), {"type": "json_object"}, False),
    "a schema": (reads("total"), json_schema(object_of({"total": TEXT})), False),
    "the whole JSON": ({**EXACT, "input": "{{sample.output_json}}"}, None, True),
    "a part of a multi": (multi("exact + json", json=reads("total")), None, True),
    "python": (python(HEAD + '    return sample["output_json"]["a"]\n'), None, True),
    "python with get": (python(HEAD + '    return sample.get("output_json")\n'), None, True),
    "no JSON is read": (EXACT, None, False),
    "python reads the text": (
        python(HEAD + '    return len(sample["output_text"])\n'),
        None,
        False,
    ),
}


@pytest.mark.parametrize(("grader", "given", "speaks"), FORMATS.values(), ids=FORMATS)
def test_a_model_that_is_not_made_to_answer_in_json(
    tmp_path: Path, grader: Any, given: Any, speaks: bool
) -> None:
    found = [(one.id, one.severity) for one in findings(tmp_path, grader, given)]
    assert found == ([("no-response-format", "warning")] if speaks else [])


def test_without_a_job_the_format_is_not_checked(tmp_path: Path) -> None:
    report = ask(tmp_path, reads("total"), SUMS, select=CHECKS)
    assert report.not_checked == dict.fromkeys(CHECKS, "no --job")


LINES = {"type": "array", "items": object_of({"name": TEXT})}
NULLABLE = {"anyOf": [object_of({"city": TEXT}), {"type": "null"}]}
SHARED = {
    **object_of({"place": {"$ref": "#/$defs/place"}}),
    "$defs": {"place": object_of({"city": TEXT})},
}
SCHEMAS: dict[str, tuple[str, Any, str | None]] = {
    "there": ("total", object_of({"total": TEXT}), None),
    "not there": ("total", object_of({"result": TEXT}), "error"),
    "not there, but other keys may be": (
        "total",
        object_of({"result": TEXT}, closed=False),
        "warning",
    ),
    "not required": ("total", object_of({"total": TEXT, "a": TEXT}, required=["a"]), "warning"),
    "inside": ("place.city", object_of({"place": object_of({"city": TEXT})}), None),
    "not inside": ("place.town", object_of({"place": object_of({"city": TEXT})}), "error"),
    "inside what is not required": (
        "place.city",
        object_of({"place": object_of({"city": TEXT})}, required=[]),
        "warning",
    ),
    "inside a number": ("total.value", object_of({"total": {"type": "number"}}), "error"),
    "inside a text, which may be JSON": ("total.value", object_of({"total": TEXT}), None),
    "in a list": ("lines[0].name", object_of({"lines": LINES}), None),
    "by a number after a dot": ("lines.0.name", object_of({"lines": LINES}), None),
    "not in a list": ("lines[0].title", object_of({"lines": LINES}), "error"),
    "a list without an index": ("lines.name", object_of({"lines": LINES}), "error"),
    "beyond a list": (
        "lines[2].name",
        object_of({"lines": {**LINES, "maxItems": 2}}),
        "error",
    ),
    "in what may be null": ("place.city", object_of({"place": NULLABLE}), None),
    "in a definition": ("place.city", SHARED, None),
    "not in a definition": ("place.town", SHARED, "error"),
    "in one of several": (
        "city",
        {"anyOf": [object_of({"city": TEXT}), object_of({"town": TEXT})]},
        "warning",
    ),
    "in none of several": (
        "place",
        {"anyOf": [object_of({"city": TEXT}), object_of({"town": TEXT})]},
        "error",
    ),
    "in all together": (
        "city",
        {"allOf": [object_of({"city": TEXT}, closed=False), object_of({"b": TEXT}, closed=False)]},
        None,
    ),
    "anything goes": ("place.city", object_of({"place": {}}), "warning"),
    "by a pattern": (
        "x_1",
        {"type": "object", "patternProperties": {"^x_": TEXT}, "additionalProperties": False},
        "warning",
    ),
    "a schema that refers to itself": (
        "next.next.name",
        {
            "$ref": "#/$defs/node",
            "$defs": {"node": object_of({"name": TEXT, "next": {"$ref": "#/$defs/node"}})},
        },
        None,
    ),
    "a reference in a circle": (
        "a",
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
        None,
    ),
    "a list that is none": (
        "a",
        {"type": "object", "properties": {"a": TEXT}, "required": 5},
        "warning",
    ),
    "all of no list": ("a", {"properties": [], "required": ["a"], "allOf": 5}, "warning"),
    "a reference to nothing": ("a", {"$ref": "#/$defs/gone"}, "warning"),
}


@pytest.mark.parametrize(("path", "schema", "severity"), SCHEMAS.values(), ids=SCHEMAS)
def test_a_key_that_the_schema_does_not_promise(
    tmp_path: Path, path: str, schema: Any, severity: str | None
) -> None:
    found = [(one.id, one.severity) for one in findings(tmp_path, reads(path), json_schema(schema))]
    assert found == ([("not-in-schema", severity)] if severity else [])


PYTHON: dict[str, tuple[str, str | None]] = {
    "brackets": ('return float(data["total"] == "1")', "error"),
    "get": ('return float(data.get("total") == "1")', "warning"),
    "get of one of several": (
        'return float((data.get("total") or data.get("result")) == "1")',
        "info",
    ),
    "there": ('return float(data["result"] == "1")', None),
}


@pytest.mark.parametrize(("line", "severity"), PYTHON.values(), ids=PYTHON)
def test_a_key_that_a_source_reads(tmp_path: Path, line: str, severity: str | None) -> None:
    grader = python(f'{HEAD}    data = sample["output_json"]\n    {line}\n')
    found = findings(tmp_path, grader, json_schema(object_of({"result": TEXT})))
    assert [one.severity for one in found] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("path", "schema", "fix"),
    [
        ("totl", object_of({"total": TEXT}), "Did you mean `sample.output_json.total`?"),
        ("x", object_of({"total": TEXT}), "it has `total`"),
        ("lines.name", object_of({"lines": LINES}), "`sample.output_json.lines[0].name`"),
        ("total", object_of({"total": TEXT}, required=[]), "List it in `required`"),
    ],
)
def test_what_to_do_about_a_key(tmp_path: Path, path: str, schema: Any, fix: str) -> None:
    (finding,) = findings(tmp_path, reads(path), json_schema(schema))
    assert fix in finding.fix


def test_a_source_that_parses_the_text_reads_the_same_keys(tmp_path: Path) -> None:
    source = "import json\n" + HEAD + '    return json.loads(sample["output_text"])["total"]\n'
    (finding,) = findings(tmp_path, python(source), json_schema(object_of({"result": TEXT})))
    assert (finding.id, finding.severity) == ("not-in-schema", "error")
    assert not findings(tmp_path, python(source))


def test_a_step_below_a_key_that_is_missing_is_not_reported_again(tmp_path: Path) -> None:
    grader = multi("one + other", one=reads("place"), other=reads("place.city"))
    (finding,) = findings(tmp_path, grader, json_schema(object_of({"total": TEXT})))
    assert finding.numbers["paths"] == ["sample.output_json.place"]
