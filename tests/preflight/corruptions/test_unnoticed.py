"""When wrong versions of right answers are a finding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine
from tests.preflight.ask import SUMS, ask, found, only
from tests.preflight.attacks.graders import (
    CALL,
    CITIES,
    DISEASES,
    ILLNESSES,
    JUDGE,
    PEOPLE,
    SUMMARIES,
    check,
    judge_of,
    multi,
    python,
    row,
    similarity,
)
from tests.preflight.graders import job, json_schema, object_of

ORDERS = [
    row("q", out={"total": f"{17 + 31 * n}.50", "city": a.title(), "reason": f"it is {n}"})
    for n, a in enumerate(ILLNESSES)
]


def key(name: str) -> dict[str, Any]:
    return check("eq", f"{{{{item.out.{name}}}}}", f"{{{{sample.output_json.{name}}}}}")


def test_fields_that_may_be_anything_come_first(tmp_path: Path) -> None:
    report = ask(tmp_path, key("city"), ORDERS, reference_field="out")
    finding = only(report, "corruption-unnoticed")
    assert finding.severity == "warning"
    assert finding.message.startswith("`total` may be anything: ")
    assert finding.numbers["anything"] == ["total"]


@pytest.mark.parametrize("strict", [True, False])
def test_a_key_that_no_model_can_write_is_no_wrong_version(tmp_path: Path, strict: bool) -> None:
    text = {"type": "string"}
    form = json_schema(object_of({"total": text, "city": text}))
    form["json_schema"]["strict"] = strict
    both = multi("0.5 * total + 0.5 * city", total=key("total"), city=key("city"))
    report = ask(tmp_path, both, ORDERS, job=job(form), select=("corruption-unnoticed",))
    if strict:
        assert "corruption-unnoticed" in report.fine
    else:
        assert only(report, "corruption-unnoticed").message == (
            "12 of 12 answers with a key added that the schema does not allow in the answer earn what the "
            "right answer earns."
        )


def test_fields_that_only_explain_are_no_warning(tmp_path: Path) -> None:
    both = multi("0.5 * total + 0.5 * city", total=key("total"), city=key("city"))
    finding = only(ask(tmp_path, both, ORDERS, reference_field="out"), "corruption-unnoticed")
    assert finding.severity == "info"
    assert finding.message.startswith("`reason` may be anything: ")


def test_a_grader_that_compares_every_field_is_fine(tmp_path: Path) -> None:
    every = multi("a + b + c", a=key("total"), b=key("city"), c=key("reason"))
    report = ask(tmp_path, every, ORDERS, reference_field="out")
    assert "corruption-unnoticed" in report.fine


def test_a_negation_that_costs_nothing_is_a_warning(tmp_path: Path) -> None:
    source = (
        "import re\ndef words(t):\n return set(re.findall('[a-z]+', t.lower())) - {'not', 'is', 'was'}\n"
        "def grade(s, i):\n return float(words(s['output_text']) == words(i['answer']))"
    )
    finding = only(ask(tmp_path, python(source), SUMMARIES), "corruption-unnoticed")
    assert finding.severity == "warning"
    survived = {one["operator"]: one["survived"] for one in finding.numbers["corruptions"]}
    assert survived["negation"] == survived["number"] == 12
    assert "12 of 12 answers with a negation in the text earn what" in finding.message


@pytest.mark.parametrize("metric", ["rouge_1", "fuzzy_match"])
def test_words_in_another_order_or_a_small_loss_alone_are_for_information(
    metric: str, tmp_path: Path
) -> None:
    finding = only(ask(tmp_path, similarity(metric), SUMMARIES), "corruption-unnoticed")
    assert finding.severity == "info"


def test_another_argument_that_costs_nothing_is_a_warning(tmp_path: Path) -> None:
    grader = check("eq", "get_weather", "{{sample.output_tools[0].function.name}}")
    report = ask(tmp_path, grader, CITIES, reference_template=CALL)
    finding = only(report, "corruption-unnoticed")
    assert finding.severity == "warning"
    assert finding.message.startswith("`get_weather.city` may be anything: 12 of 12")


def test_only_rows_whose_right_answer_is_rewarded_count(tmp_path: Path) -> None:
    mixed = [{**one, "answer": one["answer"] if n % 2 else "wrong 1"} for n, one in enumerate(SUMS)]
    source = "def grade(s, i):\n o = s['output_text']\n return float(o != 'wrong 1' and o == i['answer'])"
    report = ask(tmp_path, python(source), mixed, reference_field="answer")
    for one in report.measured["corruptions"]:
        assert one["survived"] == 0
        assert one["rows"] <= 12


def test_with_fewer_than_three_rewarded_answers_nothing_is_said(tmp_path: Path) -> None:
    rows = [row("q", answer="something" if n < 2 else "never") for n in range(12)]
    report = ask(tmp_path, check("eq", "something"), rows, reference_field="answer")
    assert report.not_checked["corruption-unnoticed"] == "fewer than 3 right answers are rewarded"


def test_answers_without_anything_to_change_are_not_checked(tmp_path: Path) -> None:
    report = ask(tmp_path, check("eq", "{{item.answer}}"), DISEASES)
    assert "no right answer has a number" in report.not_checked["corruption-unnoticed"]


def test_each_kind_of_change_needs_three_rows(tmp_path: Path) -> None:
    rows = [
        {**one, "answer": f"{one['answer']} 7" if n < 2 else one["answer"]}
        for n, one in enumerate(DISEASES)
    ]
    source = "def grade(s, i):\n return float(s['output_text'].rstrip('789 ') == i['answer'].rstrip('789 '))"
    report = ask(tmp_path, python(source), rows)
    assert not found(report, "corruption-unnoticed")


def test_the_calls_of_a_judge_are_those_of_the_plan(tmp_path: Path) -> None:
    judge = judge_of(lambda said: 0.0, 10.0)
    report = ask(tmp_path, JUDGE, SUMS, engine=Engine(judges=judge), max_calls=200)
    assert len(judge.requests) == report.inputs.plan.calls <= 200
    assert report.measured["corruptions"][0]["survived"] == 0


def test_the_table_has_what_each_kind_of_change_costs(tmp_path: Path) -> None:
    both = multi(
        "0.75 * name + 0.25 * age",
        name=check("eq", "{{item.expected.name}}", "{{sample.output_json.name}}"),
        age=check("eq", "{{item.expected.age}}", "{{sample.output_json.age}}"),
    )
    costs = {
        (one["operator"], one["field"]): one["loss"]
        for one in ask(tmp_path, both, PEOPLE).measured["corruptions"]
    }
    assert costs["other-value", "name"] == pytest.approx(0.75)
    assert costs["number", "age"] == pytest.approx(0.25)
    assert costs["swap-fields", "name and age"] == pytest.approx(1.0)
