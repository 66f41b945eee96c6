"""What the grader gives: right answers, other rows' answers, constant answers, noise, time, cost."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine, JudgeSettings, ModelReply, ModelRequest, Scripted
from graders_engine.preflight.grader_facts import GraderFacts
from graders_engine.preflight.references import reference_source
from tests.preflight.ask import EXACT, SUMS, ask, found, only


def python(source: str) -> dict[str, Any]:
    return {"type": "python", "name": "code", "source": source}


def judge(content: str = "{{item.answer}} / {{sample.output_text}}", **more: Any) -> dict[str, Any]:
    message = {"role": "user", "content": content}
    return {"type": "score_model", "name": "judge", "model": "m", "input": [message], **more}


def answers(*scores: float) -> Scripted:
    """A judge that gives these scores in turn, whatever it is asked."""
    turns = itertools.cycle(scores)
    return Scripted(lambda request: json.dumps({"steps": [], "result": next(turns)}))


def same_text(request: ModelRequest) -> ModelReply | str:
    """A judge that compares the two texts of its message."""
    right, _, given = str(getattr(request.messages[-1].parts[0], "text", "")).partition(" / ")
    return json.dumps({"steps": [], "result": float(right == given)})


def test_a_good_grader_has_no_finding(tmp_path: Path) -> None:
    report = ask(tmp_path, EXACT)
    assert not report.findings
    measured = report.measured["references"]
    assert 0.8 < measured.pop("low") < measured.pop("high") == 1.0
    assert measured == {
        "confidence": "derived", "field": None, "sure": True, "rows": 30, "rewarded": 30, "mean": 1.0,
    }  # fmt: skip
    assert report.measured["floor"]["pairs"] == 90


def test_right_answers_that_earn_less_than_full_marks_are_a_warning_with_the_worst(
    tmp_path: Path,
) -> None:
    source = """
def grade(sample, item):
    right = sample["output_text"] == item["answer"]
    return 1.0 if right and len(item["answer"]) < 3 and item["answer"] != "41" else 0.5 * right
"""
    rows = [*SUMS, {"messages": [], "answer": "41"}][-20:]
    finding = only(
        ask(tmp_path, python(source), rows, reference_field="answer"), "reference-not-rewarded"
    )
    assert finding.severity == "warning"
    assert finding.numbers["missed"] == 1
    assert "earns 0.5" in finding.details[0]
    assert [place.line for place in finding.where] == [20]


def test_a_guessed_answer_that_is_rarely_rewarded_is_no_finding(tmp_path: Path) -> None:
    rows = [{"messages": row["messages"], "sum": row["answer"], "label": "x"} for row in SUMS]
    source = 'def grade(sample, item):\n    return float(sample["output_text"] == item["sum"])'
    report = ask(tmp_path, python(source), rows)
    assert not report.findings
    assert "`label` seems to be an input" in report.not_checked["reference-not-rewarded"]


def test_another_rows_answer_that_earns_as_much_is_weak_contrast(tmp_path: Path) -> None:
    source = """
def grade(sample, item):
    return 0.95 * sample["output_text"].isdigit() + 0.05 * (sample["output_text"] == item["answer"])
"""
    finding = only(ask(tmp_path, python(source), reference_field="answer"), "weak-contrast")
    assert finding.severity == "warning"
    assert finding.numbers["gap"] == pytest.approx(0.05)


def test_an_answer_that_is_right_for_most_rows_is_a_constant_answer(tmp_path: Path) -> None:
    rows = [{**row, "answer": "yes" if number % 10 else "no"} for number, row in enumerate(SUMS)]
    finding = only(ask(tmp_path, EXACT, rows), "constant-answer")
    assert finding.severity == "warning"
    assert '"yes"' in finding.message
    assert len(finding.where) == 3
    assert all(rows[at.line - 1]["answer"] == "yes" for at in finding.where)


@pytest.mark.parametrize(
    "answer", [lambda number: "ab"[number % 2], lambda number: "abc"[number % 3]]
)
def test_balanced_answers_are_no_warning(tmp_path: Path, answer: Any) -> None:
    rows = [{**row, "answer": answer(number)} for number, row in enumerate(SUMS)]
    report = ask(tmp_path, EXACT, rows)
    assert all(finding.severity == "info" for finding in report.findings)


def test_one_reward_for_every_answer_is_a_constant_reward(tmp_path: Path) -> None:
    source = 'def grade(sample, item):\n    return 0.7 if sample["output_text"] != "\\0" else 0.7'
    report = ask(tmp_path, python(source), reference_field="answer")
    finding = only(report, "constant-reward")
    assert finding.numbers["reward"] == 0.7
    assert finding.where[0].line
    assert report.not_checked["weak-contrast"] == "follows from constant-reward"


def test_code_whose_reward_changes_is_unstable(tmp_path: Path) -> None:
    source = """
import random
def grade(sample, item):
    return float(sample["output_text"] == item["answer"]) * random.random()
"""
    report = ask(tmp_path, python(source), reference_field="answer")
    assert only(report, "unstable").severity == "warning"
    assert "weak-contrast" in report.not_checked


def test_code_that_raises_on_every_answer_is_an_error(tmp_path: Path) -> None:
    source = 'def grade(sample, item):\n    return len(sample["output_text"]) + item["answer"]'
    report = ask(tmp_path, python(source), reference_field="answer")
    finding = only(report, "grader-fails")
    assert finding.severity == "error"
    assert any("TypeError" in line for line in finding.details)
    assert "reference-not-rewarded" in report.not_checked


def test_code_that_raises_on_a_few_rows_is_a_warning_with_their_lines(tmp_path: Path) -> None:
    rows = [
        {**row, "answer": None if number == 4 else row["answer"]}
        for number, row in enumerate(SUMS[:20])
    ]
    source = 'def grade(sample, item):\n    return float(sample["output_text"] == item["answer"].strip())'
    finding = only(
        ask(tmp_path, python(source), rows, reference_template="{{item.answer}}"), "grader-fails"
    )
    assert finding.severity == "warning"
    assert {place.line for place in finding.where} == {5}


def engine_with(judge_backend: Any) -> Engine:
    return Engine(judges=JudgeSettings(endpoints={"default": judge_backend}))


def test_a_judge_that_always_agrees_with_itself_is_stable(tmp_path: Path) -> None:
    report = ask(
        tmp_path,
        judge(),
        engine=engine_with(Scripted(same_text)),
        reference_field="answer",
        max_calls=200,
    )
    assert "unstable" in report.fine
    assert [finding.id for finding in report.findings if finding.severity != "info"] == []


def test_the_planned_calls_are_the_calls_that_the_judge_gets(tmp_path: Path) -> None:
    calls = []

    def counted(request: ModelRequest) -> Any:
        calls.append(request)
        return same_text(request)

    report = ask(
        tmp_path,
        judge(),
        SUMS[:24],
        engine=engine_with(Scripted(counted)),
        reference_field="answer",
    )
    assert len(calls) == report.inputs.plan.calls
    assert 0 < len(calls) <= 300


def test_no_judge_is_asked_where_no_calls_are_allowed(tmp_path: Path) -> None:
    report = ask(
        tmp_path, judge(), engine=engine_with(answers(1.0)), reference_field="answer", max_calls=0
    )
    assert not report.inputs.trials
    assert "reference-not-rewarded" in report.not_checked


def test_a_judge_of_chance_is_unstable(tmp_path: Path) -> None:
    scores = [0.1, 0.9, 0.5, 0.2, 0.8, 0.0, 1.0, 0.4, 0.7]
    report = ask(
        tmp_path,
        judge(),
        engine=engine_with(answers(*scores)),
        reference_field="answer",
        max_calls=200,
    )
    finding = only(report, "unstable")
    assert finding.numbers["reliability"] < 0.5
    assert "more than half of the spread is the judge's" in finding.message


def test_what_judges_cost_is_said_with_the_calls_of_the_whole_job(tmp_path: Path) -> None:
    job = {
        "method": {"type": "reinforcement", "reinforcement": {"hyperparameters": {"n_epochs": 3}}}
    }
    report = ask(
        tmp_path,
        judge(),
        engine=engine_with(Scripted(same_text)),
        reference_field="answer",
        job=job,
    )
    (finding,) = found(report, "cost")
    assert finding.severity == "info"
    assert finding.numbers["calls"] == 60 * 3 * 8


def test_a_row_is_graded_once_for_all_checks_that_want_it(tmp_path: Path) -> None:
    rows = [{**row, "answer": "ab"[number % 2]} for number, row in enumerate(SUMS)]
    report = ask(tmp_path, EXACT, rows)
    asked: Mapping[str, Any] = report.inputs.trials
    assert {*asked} >= {"references", "others", "constants"}


def test_with_a_cache_equal_requests_of_different_rows_are_asked_once_as_planned(
    tmp_path: Path,
) -> None:
    calls = []

    def length(request: ModelRequest) -> Any:
        calls.append(request)
        text = str(getattr(request.messages[-1].parts[0], "text", ""))
        return json.dumps({"steps": [], "result": min(len(text) / 20, 1.0)})

    rows = [{**row, "answer": "ab"[number % 2]} for number, row in enumerate(SUMS)]
    judges = JudgeSettings(
        endpoints={"default": Scripted(length)}, cache=tmp_path / "replies.sqlite"
    )
    report = ask(
        tmp_path, judge("{{sample.output_text}}"), rows, engine=Engine(judges=judges),
        reference_field="answer",
    )  # fmt: skip
    assert len(calls) == report.inputs.plan.calls


def test_an_answer_far_below_all_others_does_not_stretch_the_scale(tmp_path: Path) -> None:
    source = """
import re
def grade(sample, item):
    found = re.search(r"\\d+", sample["output_text"])
    return 1 - abs(int(found[0]) - int(item["answer"])) if found else 0.0
"""
    report = ask(tmp_path, python(source), reference_field="answer")
    assert report.measured["scale"]["lowest"] > -100


MULTI = {"type": "multi", "name": "both", "calculate_output": "one + two"}


def parts(*graders: dict[str, Any]) -> dict[str, Any]:
    return {**MULTI, "graders": dict(zip(("one", "two"), graders, strict=True))}


JUDGED = {
    **EXACT,
    "input": "{{sample.output_json.why}}",
    "operation": "like",
    "reference": "because",
}


@pytest.mark.parametrize(
    ("grader", "derived"),
    [
        (parts({**EXACT, "operation": "like", "reference": "{{item.topic}}"},
               {"type": "text_similarity", "input": "{{sample.output_text}}",
                "reference": "{{item.answer}}", "evaluation_metric": "fuzzy_match"}), "sums: 7"),
        (parts({**EXACT, "input": "{{sample.output_json.sum}}"}, JUDGED),
         json.dumps({"sum": "sums: 7", "why": "because"})),
        (parts({**EXACT, "input": "{{sample.output_json.sum}}"},
               {**EXACT, "input": "{{sample.output_json.why}}", "operation": "ne", "reference": ""}), None),
        (parts(EXACT, {**EXACT, "reference": "{{item.topic}}"}), None),
    ],
    ids=["the longer of two texts", "an object of all parts", "a part is missing", "a contradiction"],
)  # fmt: skip
def test_a_right_answer_is_derived_only_if_it_makes_all_comparisons_true(
    grader: dict[str, Any], derived: str | None
) -> None:
    with Engine() as engine:
        facts = GraderFacts(engine.compile(grader))
    item = {"answer": "sums: 7", "topic": "sums"}
    found = reference_source(facts, [item])
    sample = found.sample_of(item) if found and found.confidence == "derived" else None
    assert sample == derived
