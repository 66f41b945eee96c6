"""Runs the cases of the format, which `graders conformance` asks of any server, and some of our own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine, InvalidGrader
from graders_engine.conformance.cases import expanded, output_of, topics, written_cases
from graders_engine.errors import FormulaFailure, SampleNotJson, UndefinedVariable
from graders_engine.language.formula import Formula
from graders_engine.language.json_fault import json_fault
from graders_engine.language.scope import scope_of
from graders_engine.language.span import SourceError
from graders_engine.language.template import Template

Case = dict[str, Any]
FLAGS = {UndefinedVariable: "invalid_variable_error", SampleNotJson: "sample_parse_error"}


def cases(topic: str) -> pytest.MarkDecorator:
    ours = Path(__file__).parent / "compliance" / f"{topic}.json"
    loaded = written_cases(topic) if topic in topics() else json.loads(ours.read_text("utf-8"))
    return pytest.mark.parametrize("case", loaded, ids=[case["name"] for case in loaded])


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as opened:
        yield opened


@cases("templates")
def test_templates(case: Case) -> None:
    if "invalid" in case:
        with pytest.raises(SourceError) as refused:
            Template.compile(case["template"])
        issue = refused.value.issues[0]
        assert issue.span.start == case["invalid"]["at"], str(issue)
        assert case["invalid"].get("names", "") in issue.reason.lower()
        return
    template = Template.compile(expanded(case["template"]))
    scope = scope_of(case.get("item"), **output_of(case))
    if "result" in case:
        assert template.render(scope) == case["result"]
        return
    with pytest.raises(tuple(FLAGS)) as failed:
        template.render(scope)
    assert FLAGS[failed.type] == case["failure"]["flag"]
    assert case["failure"]["names"] in str(failed.value)


@cases("formulas")
def test_formulas(case: Case) -> None:
    source, values = expanded(case["formula"]), case.get("values", {})
    if "invalid" in case:
        with pytest.raises(SourceError) as refused:
            Formula.compile(source, values)
        issue = refused.value.issues[0]
        assert issue.kind == case["invalid"]["kind"], str(issue)
        assert issue.span.start == case["invalid"].get("at", issue.span.start), str(issue)
        assert case["invalid"].get("names", "") in issue.reason
        if "names" in case["invalid"]:
            assert len(refused.value.issues) == 1
        return
    formula = Formula.compile(source, values)
    if "result" in case:
        assert formula.evaluate(values) == pytest.approx(case["result"], rel=1e-15, abs=1e-15)
        return
    with pytest.raises(FormulaFailure) as failed:
        formula.evaluate(values)
    assert failed.value.kind == case["failure"]["kind"]


@cases("json_faults")
def test_faults_of_json(case: Case) -> None:
    fault = json_fault(case["text"])
    assert fault is not None
    assert fault.span.start == case["at"], str(fault)
    assert case["reason"] in fault.reason


@cases("string_check")
def test_string_check(case: Case, engine: Engine) -> None:
    check_reward(case, engine)


@cases("fuzzy_match")
def test_fuzzy_match(case: Case, engine: Engine) -> None:
    check_reward(case, engine)


@cases("multi")
def test_multi(case: Case, engine: Engine) -> None:
    check_reward(case, engine)


def check_reward(case: Case, engine: Engine) -> None:
    response = engine.run(case["grader"], item=case.get("item"), **output_of(case))
    raised = {flag for flag, set_ in response.metadata.errors if set_ is True}
    expected = set(case.get("flags", [case["flag"]] if "flag" in case else []))
    if "flags" in case or "flag" in case:
        assert expected <= raised
    if "flags" in case:
        assert raised == expected
    assert response.reward == pytest.approx(case.get("reward", 0.0), abs=1e-12)
    if "sub_rewards" in case:
        assert response.sub_rewards == pytest.approx(case["sub_rewards"], abs=1e-12)


@cases("responses")
def test_responses(case: Case, engine: Engine) -> None:
    answer = engine.run(**case["request"]).model_dump()
    assert answer["metadata"]["execution_time"] >= 0.0
    answer["metadata"]["execution_time"] = "<seconds>"
    if case["response"]["metadata"]["name"] == "<generated>":
        generated = answer["metadata"]["name"].removeprefix("grader-")
        assert len(generated) == 12
        assert generated.isalnum()
        answer["metadata"]["name"] = "<generated>"
    errors = answer["metadata"]["errors"]
    for key, expected in case["response"]["metadata"]["errors"].items():
        if expected == "<details>" and isinstance(errors[key], str) and errors[key]:
            errors[key] = "<details>"
    # As text: the order of the keys and 1 against 1.0 count too.
    assert json.dumps(answer) == json.dumps(case["response"])


@cases("validation")
def test_validation(case: Case, engine: Engine) -> None:
    grader = expanded(case["grader"])
    if "echo" in case:
        echo = engine.validate(grader).grader
        if expanded(case["echo"]).get("name") == "<generated>":
            assert echo["name"].startswith("grader-")
            echo = {**echo, "name": "<generated>"}
        assert echo == expanded(case["echo"])
        return
    with pytest.raises(InvalidGrader) as refused:
        engine.validate(grader)
    found = {(mistake.param, mistake.code): mistake.message for mistake in refused.value.mistakes}
    assert set(found) == {(wanted["param"], wanted["code"]) for wanted in case["mistakes"]}
    for wanted in case["mistakes"]:
        message = found[wanted["param"], wanted["code"]]
        if "message" in wanted:
            assert message == wanted["message"]
        else:
            assert message.startswith(wanted["starts"])
