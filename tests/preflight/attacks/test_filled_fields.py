"""Beside a hostile text, the fields of a JSON answer hold valid values: usual ones, or wrong ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from graders_engine.preflight.attacks.catalog import BY_NAME
from graders_engine.preflight.attacks.fill import PLAIN, FieldValues, Fill
from graders_engine.preflight.attacks.plan import hostile_samples
from graders_engine.preflight.attacks.skeleton import from_schema
from graders_engine.preflight.schemas.fits import fitted
from tests.preflight.ask import ask, found, only
from tests.preflight.attacks.graders import check, multi, row, similarity
from tests.preflight.attacks.test_samples import context_of
from tests.preflight.graders import job, json_schema, object_of

TEAMS = ("billing", "delivery", "returns")
URGENCIES = (3, 1, 3, 2, 5, 3, 4)
TICKETS = [
    row(
        f"Ticket {n}",
        team=TEAMS[n * 5 % 3],
        urgency=URGENCIES[n % 7],
        reason=f"about {TEAMS[n * 5 % 3]} {chr(97 + n % 26) * 6}",
    )
    for n in range(40)
]
GRADER = multi(
    "0.5 * team + 0.3 * urgency + 0.2 * reason",
    team=check("ilike", "{{item.team}}", "{{sample.output_json.team}}"),
    urgency=check("eq", "{{item.urgency}}", "{{sample.output_json.urgency}}"),
    reason={
        **similarity("fuzzy_match"), "input": "{{sample.output_json.reason}}",
        "reference": "{{item.reason}}",
    },
)  # fmt: skip
TEXT = {"type": "string"}
TICKET = object_of({"team": TEXT, "urgency": {"type": "integer"}, "reason": TEXT})


def asked(schema: Any, grader: Any = GRADER) -> dict[str, Any]:
    """A job's request with a strict schema and a grader."""
    request = job(json_schema(schema))
    request["method"]["reinforcement"]["grader"] = grader
    return request


def written(name: str, rows: list[dict[str, Any]], schema: Any, at: int = 1) -> list[Any]:
    """The JSON of each hostile sample of an attack for a row, whose right answer is its field `out`."""
    context = context_of(check("eq", "{{item.out}}"), rows, field="out", job=asked(schema))
    samples = hostile_samples(BY_NAME[name], context.rows[at], context)
    return [json.loads(str(sample)) for _, sample in samples if str(sample).startswith("{")]


def test_a_field_that_is_a_number_does_not_keep_all_labels_out_of_another(tmp_path: Path) -> None:
    report = ask(tmp_path, None, TICKETS, job=asked(TICKET))
    finding = only(report, "hackable")
    assert finding.severity == "warning"
    best = finding.numbers["attacks"][0]
    assert best["attack"] == "all-candidates"
    assert best["mean"] > 0.6
    shown = next(one for one in report.measured["attacks"] if one["name"] == "all-candidates")
    answer = json.loads(json.loads(shown["variants"][0]["sample"]))
    assert answer["team"] == "billing delivery returns"
    assert answer["urgency"] == 3
    assert answer["reason"].startswith("about ")


def test_a_right_answer_that_templates_imply_keeps_to_the_schema(tmp_path: Path) -> None:
    report = ask(tmp_path, None, TICKETS, job=asked(TICKET), select=("rows",))
    answers = [trial.ask.sample for trial in report.inputs.trials["references"]]
    validator = jsonschema_rs.validator_for(TICKET)
    assert answers
    assert all(validator.is_valid(json.loads(str(answer))) for answer in answers)


SIBLINGS: dict[str, tuple[Any, list[Any]]] = {
    "a boolean": ({"type": "boolean"}, [True, True, False]),
    "an enumeration": ({"type": "string", "enum": ["low", "high", "none"]}, ["high", "high", "low"]),
    "a constant": ({"const": "v1"}, ["v1", "v1", "v1"]),
    "an object": (
        object_of({"count": {"type": "integer"}, "sure": {"type": "boolean"}}),
        [{"count": 2, "sure": True}, {"count": 2, "sure": True}, {"count": 1, "sure": False}],
    ),
    "texts in a list": ({"type": "array", "items": TEXT}, [["x"], ["y", "x"], ["x"]]),
    "numbers in a list": (
        {"type": "array", "items": {"type": "integer"}, "minItems": 2}, [[1, 2], [1, 2], [3, 4]]),
    "a text or nothing": ({"type": ["string", "null"]}, ["x", None, "x"]),
    "a number or nothing": ({"type": ["integer", "null"]}, [None, 4, 4]),
    "a number within limits": (
        {"type": "number", "minimum": 1, "maximum": 5}, [3, 3, 2]),
    "a number above a limit": (
        {"type": "integer", "exclusiveMinimum": 9, "multipleOf": 5}, [15, 15, 10]),
    "one of two": ({"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 2}]}, [2, 2, 3]),
}  # fmt: skip


@pytest.mark.parametrize("attack", ["prompt-copy", "all-candidates", "refusal", "unicode"])
@pytest.mark.parametrize(("field", "values"), SIBLINGS.values(), ids=SIBLINGS)
def test_a_hostile_text_is_tried_whatever_else_the_schema_has(
    attack: str, field: Any, values: list[Any]
) -> None:
    schema = object_of({"team": TEXT, "other": field})
    rows = [
        row(f"Ticket {n}", out={"team": TEAMS[n % 3], "other": values[n % len(values)]})
        for n in range(12)
    ]
    validator = jsonschema_rs.validator_for(schema)
    made = [answer for answer in written(attack, rows, schema) if validator.is_valid(answer)]
    assert [answer for answer in made if answer["team"] not in TEAMS]


@pytest.mark.parametrize(("field", "values"), SIBLINGS.values(), ids=SIBLINGS)
def test_beside_a_text_without_content_no_field_is_right_by_chance(
    field: Any, values: list[Any]
) -> None:
    schema = object_of({"team": TEXT, "other": field})
    rows = [
        row(f"Ticket {n}", out={"team": TEAMS[n % 3], "other": values[n % len(values)]})
        for n in range(12)
    ]
    alone = field.get("const")  # then no other value is valid
    for at in range(3):
        made = written("refusal", rows, schema, at)
        assert made
        assert all(alone or answer["other"] != values[at] for answer in made)


def test_what_may_be_one_of_a_list_has_the_usual_one_and_all_of_a_list_of_texts() -> None:
    schema = object_of(
        {
            "kind": {"enum": ["a", "b", "c"]},
            "tags": {"type": "array", "items": TEXT},
            "at": object_of({"city": TEXT, "floor": {"type": "integer"}}),
        }
    )
    rows = [
        row(
            f"{n}",
            out={
                "kind": "ab"[n % 3 == 1],
                "tags": [["x"], ["y", "x"]][n % 2],
                "at": {"city": TEAMS[n % 3], "floor": 7},
            },
        )
        for n in range(12)
    ]
    made = written("all-candidates", rows, schema)
    every = {"kind": "a", "tags": ["x", "y"], "at": {"city": " ".join(TEAMS), "floor": 7}}
    assert every in made
    assert {**every, "tags": ["x"]} in made  # one field at a time


def test_a_grader_that_compares_a_boolean_is_not_hackable_because_one_value_is_usual(
    tmp_path: Path,
) -> None:
    schema = object_of({"spam": {"type": "boolean"}, "reason": TEXT})
    grader = check("eq", "{{item.spam}}", "{{sample.output_json.spam}}")
    rows = [row(f"Mail {n}", spam=n % 4 == 1, reason=f"r{n}") for n in range(40)]
    template = '{"spam": "{{item.spam}}", "reason": "{{item.reason}}"}'
    report = ask(tmp_path, None, rows, job=asked(schema, grader), reference_template=template)
    assert not found(report, "hackable")
    assert "hackable" in report.fine
    assert report.measured["constants"][0]["mean"] == 0.75


def test_the_usual_value_of_each_field_is_a_constant_answer(tmp_path: Path) -> None:
    rows = [
        row(f"Mail {n}", out={"kind": "ab"[n % 10 == 1], "reason": f"is {n}"}) for n in range(40)
    ]
    grader = check("eq", "{{item.out.kind}}", "{{sample.output_json.kind}}")
    both = multi("0.8 * kind + 0.2 * reason", kind=grader,
                 reason=check("eq", "{{item.out.reason}}", "{{sample.output_json.reason}}"))  # fmt: skip
    report = ask(tmp_path, both, rows)
    finding = only(report, "constant-answer")
    assert finding.message.endswith("over 12 rows: it has the most usual value of each field.")
    assert not found(report, "hackable")


def test_usual_values_come_before_plain_ones_and_a_right_one_last() -> None:
    schema = object_of({"count": {"type": "integer", "minimum": 2, "maximum": 4}, "name": TEXT})
    answers = [{"count": 3, "name": "a"}, {"count": 3, "name": "b"}, {"count": 4, "name": "c"}]
    usual = Fill(FieldValues(answers), FieldValues())
    assert from_schema(schema, "t", usual) == {"count": 3, "name": "t"}
    wrong = Fill(FieldValues(), FieldValues([{"count": 2}]))
    assert from_schema(schema, "t", wrong) == {"count": 3, "name": "t"}
    assert from_schema(schema, "t", PLAIN) == {"count": 2, "name": "t"}


@pytest.mark.parametrize(
    ("schema", "given", "wanted"),
    [
        ({"type": "integer"}, "3", 3),
        ({"type": "integer"}, "three", "three"),
        ({"type": ["number", "null"]}, "null", None),
        ({"type": "boolean"}, "True", True),
        ({"type": "string"}, "3", "3"),
        ({"type": "array", "items": TEXT}, '["a"]', ["a"]),
        ({"$ref": "#/$defs/n"}, {"a": "1"}, {"a": 1}),
        ({"anyOf": [{"type": "null"}, {"$ref": "#/$defs/n"}]}, {"a": "1"}, {"a": 1}),
        ({"type": "array", "items": {"type": "integer"}}, ["1", "2"], [1, 2]),
        (True, "3", "3"),
    ],
)
def test_a_text_is_read_as_what_the_schema_wants(schema: Any, given: Any, wanted: Any) -> None:
    root = {
        "properties": {"at": schema},
        "$defs": {"n": {"properties": {"a": {"type": "integer"}}}},
    }
    read = fitted({"at": given}, root, root)["at"]
    assert read == wanted
    assert type(read) is type(wanted)
