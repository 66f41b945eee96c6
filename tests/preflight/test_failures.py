"""Graders that fail, on right answers or on hostile text only."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from graders_engine import Engine, ModelRequest, Scripted
from graders_engine.errors import BackendFailure
from graders_engine.sandbox.base import Limits
from tests.preflight.ask import EXACT, SUMS, ask, found, only
from tests.preflight.graders import HEAD, judge, python

ROWS = SUMS[:12]


@pytest.mark.parametrize("field", ["answer", None])
def test_code_that_raises_on_text_without_an_answer_only_is_information(
    field: str | None, tmp_path: Path
) -> None:
    grader = python(f'{HEAD}    return float(int(sample["output_text"]) == int(item["answer"]))\n')
    report = ask(tmp_path, grader, ROWS, reference_field=field, rows=5)
    finding = only(report, "grader-fails")
    assert finding.severity == "info"
    assert "hostile samples make the grader fail, and earn 0: " in finding.message
    assert "invalid literal for int()" in finding.details[0]


def test_code_that_does_not_end_on_an_empty_answer_is_a_warning(tmp_path: Path) -> None:
    source = '    while not sample["output_text"]:\n        pass\n    return 0.0\n'
    engine = Engine(limits=Limits(wall_s=1.0))
    report = ask(
        tmp_path, python(HEAD + source), ROWS, engine=engine, rows=2, attacks=("empty", "refusal")
    )
    finding = only(report, "grader-fails")
    assert (finding.severity, finding.numbers["stopped"]) == ("warning", 2)
    assert "do not end by themselves" in finding.message


def test_a_grader_that_takes_any_text_does_not_fail(tmp_path: Path) -> None:
    assert "grader-fails" in ask(tmp_path, EXACT, ROWS).fine


def test_an_outage_of_the_judge_is_not_a_wrong_answer(tmp_path: Path) -> None:
    turns = itertools.count()

    def answer(request: ModelRequest) -> str:
        if next(turns) % 2:
            raise BackendFailure("HTTP 500")
        right, _, given = str(getattr(request.messages[-1].parts[0], "text", "")).partition(" / ")
        return json.dumps({"steps": [], "result": float(right == given)})

    engine = Engine(judges=Scripted(answer))
    report = ask(
        tmp_path, judge("{{item.answer}} / {{sample.output_text}}"), ROWS, engine=engine,
        reference_field="answer", max_calls=2000,
    )  # fmt: skip
    assert only(report, "grader-fails").severity == "warning"
    assert not found(report, "reference-not-rewarded")


def test_a_judge_without_an_endpoint_is_the_reason_that_nothing_is_graded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    grader = judge("{{item.answer}} / {{sample.output_text}}")
    report = ask(tmp_path, grader, ROWS, reference_field="answer", samples=ROWS)
    for check in ("hackable", "reference-not-rewarded", "slow-grader", "baseline-floor"):
        assert "The judge 'gpt-4o-mini' has no endpoint" in report.not_checked[check]
