"""A check that could look at nothing is not fine, and none stops at a value that it cannot follow."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine, ModelRequest, Scripted
from graders_engine.errors import BackendFailure
from graders_engine.preflight.check import Check
from graders_engine.preflight.report import PreflightReport
from graders_engine.preflight.table import CHECKS
from graders_engine.report.preflight_verdicts import Verdict, verdicts
from tests.preflight.ask import EXACT, SUMS, ask, only
from tests.preflight.graders import job, json_schema, judge, object_of

OF_ROWS = {check.id for check in CHECKS if check.group == "files" or "train" in check.needs}
OF_ROWS |= {"missing-field", "null-field"}
OF_SAMPLES: list[Check] = [check for check in CHECKS if check.group == "samples"]


@pytest.mark.parametrize(
    "train", [None, "", "\n\n", "x{\n"], ids=["none", "empty", "blank", "broken"]
)
def test_no_check_of_rows_is_fine_without_a_row(tmp_path: Path, train: str | None) -> None:
    report = ask(tmp_path, train=train)
    assert OF_ROWS.isdisjoint(report.fine)


def test_a_file_of_samples_without_any_is_an_error_and_no_check_of_samples_is_fine(
    tmp_path: Path,
) -> None:
    report = ask(tmp_path, samples="\n")
    assert only(report, "samples-unmatched").severity == "error"
    assert {check.id for check in OF_SAMPLES}.isdisjoint(report.fine)


@pytest.mark.parametrize(
    "request_",
    [
        {**job(), "method": "reinforcement", "hyperparameters": {"n_epochs": "x"}},
        {**job(), "hyperparameters": {"n_epochs": 1}},
    ],
    ids=["a method that is a text", "beside the method"],
)
def test_hyperparameters_in_another_place_are_not_in_their_ranges(
    tmp_path: Path, request_: dict[str, Any]
) -> None:
    report = ask(tmp_path, grader=EXACT, job=request_, select=("request",))
    assert "value-out-of-range" in report.not_checked


@pytest.mark.parametrize("name", ["output_text", "output_json.a", "output_tools"])
def test_a_row_whose_value_nests_deeply_stops_no_check(tmp_path: Path, name: str) -> None:
    deep: Any = "1"
    for _ in range(900):
        deep = [deep]
    call = {"type": "function", "function": {"name": "f", "arguments": {"a": deep}}}
    rows = [*SUMS[:20], {**SUMS[20], "answer": deep}, {**SUMS[21], "answer": [call]}]
    grader = {**EXACT, "input": f"{{{{sample.{name}}}}}"}
    report = ask(tmp_path, grader, train=rows, rows=60)
    assert "not-jsonl" in report.fine
    assert report.measured["attacks"]


JUDGED = judge("{{item.id}} / {{sample.output_text}}")
UNANSWERED = [{"messages": row["messages"], "id": row["answer"]} for row in SUMS[:12]]


def judged(fails: Callable[[str], bool]) -> Engine:
    """An engine whose judge gives 0.0, and is not reached for some texts."""

    def answer(request: ModelRequest) -> str:
        text = str(getattr(request.messages[-1].parts[0], "text", ""))
        if fails(text.partition(" / ")[2]):
            raise BackendFailure("HTTP 500")
        return json.dumps({"steps": [], "result": 0.0})

    return Engine(judges=Scripted(answer))


def question(report: PreflightReport, asked: str) -> Verdict:
    return next(one for one in verdicts(report) if one.question == asked)


def test_where_a_judge_answers_none_of_the_attacks_that_is_an_error_and_no_time_is_told(
    tmp_path: Path,
) -> None:
    engine = judged(lambda text: True)
    report = ask(tmp_path, JUDGED, UNANSWERED, engine=engine, max_calls=2_000)
    finding = only(report, "grader-fails")
    assert (finding.severity, finding.message.startswith("None of the ")) == ("error", True)
    assert "HTTP 500" in finding.details[0]
    assert question(report, "Gameable?").state == "unknown"
    assert "seconds" not in report.measured
    assert "slow-grader" in report.not_checked


def test_attacks_of_which_many_are_lost_to_an_outage_are_not_fine(tmp_path: Path) -> None:
    engine = judged(lambda text: len(text) % 2 == 1)
    report = ask(tmp_path, JUDGED, UNANSWERED, engine=engine, max_calls=2_000)
    assert only(report, "grader-fails").severity == "warning"
    said = question(report, "Gameable?")
    assert (said.state, "hackable" in report.fine) == ("unknown", False)
    assert re.match(r"[\d,]+ of [\d,]+ hostile samples got a reward: .*HTTP 500", said.why)


def test_an_attack_that_is_lost_as_a_whole_is_counted_beside_the_others(tmp_path: Path) -> None:
    engine = judged(lambda text: "sorry" in text)
    report = ask(tmp_path, JUDGED, UNANSWERED, engine=engine, max_calls=2_000)
    assert report.measured["attacks_left_out"] == {"ruled_out": [], "lost": ["refusal"]}
    said = question(report, "Gameable?")
    assert (said.state, said.line.endswith("; 1 more got no reward")) == ("fine", True)


CHOICE = json_schema(object_of({"a": {"type": "string", "enum": ["x", "y"]}}))
READS_A = {**EXACT, "input": "{{sample.output_json.a}}"}


def test_the_line_says_how_many_attacks_the_response_format_rules_out(tmp_path: Path) -> None:
    rows = [{**row, "answer": "x"} for row in SUMS[:12]]
    free = ask(tmp_path, READS_A, rows)
    bound = ask(tmp_path, READS_A, rows, job=job(CHOICE))
    ruled_out = bound.measured["attacks_left_out"]["ruled_out"]
    assert "refusal" in ruled_out
    assert not {one["name"] for one in bound.measured["attacks"]} & set(ruled_out)
    line = question(bound, "Gameable?").line
    assert f"the response format rules out {len(ruled_out)} more" in line
    assert "rules out" not in question(free, "Gameable?").line


def test_where_all_attacks_are_ruled_out_that_is_the_reason(tmp_path: Path) -> None:
    rows = [{**row, "answer": "x"} for row in SUMS[:12]]
    report = ask(tmp_path, READS_A, rows, job=job(CHOICE), attacks=("refusal", "huge"))
    why = "the schema of the job's response format rules out every such attack"
    assert report.not_checked["hackable"] == why
