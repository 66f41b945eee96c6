"""What a report of preflight holds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.errors import InvalidRequest
from graders_engine.preflight.check import GROUPS, Check
from graders_engine.preflight.table import CHECKS
from graders_engine.report.terminal.preflight import preflight_text
from graders_engine.report.terminal.screen import Screen
from tests.preflight.ask import EXACT, SUMS, ask, only
from tests.preflight.graders import job

THREE_EPOCHS = job()
THREE_EPOCHS["method"]["reinforcement"]["hyperparameters"] = {"n_epochs": 3}
HEADINGS = ("Why: ", "Example: ", "To mend it: ", "Ignore it when: ")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_every_check_has_a_page_that_says_what_why_and_what_to_do(check: Check) -> None:
    first, *parts = check.page.split("\n\n")
    assert first
    assert [heading for heading in HEADINGS if any(part.startswith(heading) for part in parts)] == [
        *HEADINGS
    ]


def test_every_check_has_an_id_of_its_own_and_a_known_group() -> None:
    ids = [check.id for check in CHECKS]
    assert len(ids) == len(set(ids))
    assert {check.group for check in CHECKS} <= set(GROUPS)


def test_what_silences_a_check_is_asked_before_it() -> None:
    ids = [check.id for check in CHECKS]
    for check in CHECKS:
        for cause in check.silenced_by:
            assert ids.index(cause) < ids.index(check.id), (cause, check.id)


def test_each_check_is_found_fine_or_not_checked(tmp_path: Path) -> None:
    report = ask(tmp_path)
    said = [*{found.id for found in report.findings}, *report.fine, *report.not_checked]
    assert sorted(said) == sorted(check.id for check in CHECKS)


def test_a_grader_that_cannot_be_used_is_an_error_with_all_its_mistakes(tmp_path: Path) -> None:
    report = ask(tmp_path, {**EXACT, "operation": "eqq", "input": "{{sample.output_txt}}"})
    assert [found.severity for found in report.findings if found.id == "invalid-grader"] == [
        "error",
        "error",
    ]
    assert report.exit_code() == 3


def test_findings_that_are_ignored_do_not_count_but_are_shown_with_the_reason(
    tmp_path: Path,
) -> None:
    report = ask(tmp_path, {**EXACT, "operation": "eqq"}, ignore={"invalid-grader": "on purpose"})
    assert report.exit_code() == 0
    (shown,) = [found for found in report.to_json()["findings"] if found["ignored"]]
    assert (shown["id"], shown["ignored"]) == ("invalid-grader", "on purpose")


def test_the_name_of_a_check_that_does_not_exist_is_refused_with_the_nearest(
    tmp_path: Path,
) -> None:
    with pytest.raises(InvalidRequest, match="Did you mean `invalid-grader`"):
        ask(tmp_path, ignore={"invalid-graders": "x"})


def test_only_the_selected_checks_are_asked(tmp_path: Path) -> None:
    report = ask(tmp_path, {**EXACT, "operation": "eqq"}, select=("invalid-grader",))
    assert only(report, "invalid-grader").severity == "error"
    assert not report.fine
    assert not report.not_checked


def test_a_guess_of_which_few_are_rewarded_is_not_called_a_right_answer(tmp_path: Path) -> None:
    source = (
        "def grade(sample, item):\n"
        "    return float(sample['output_text'] == '<answer>' + item['gold'] + '</answer>')\n"
    )
    rows = [{"messages": row["messages"], "gold": row["answer"]} for row in SUMS]
    grader = {"type": "python", "source": source}
    text = preflight_text(ask(tmp_path, grader, train=rows, select=("rows",)))
    fair = next(line for line in text.splitlines() if line.startswith("fair?"))
    assert "`gold` as guessed" in fair
    assert "right answer" not in fair


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"train": [{"answer": "1"}]}, "`train` is the path of a file, and not a list"),
        ({"ignore": {"row-count": "a trial"}}, "pass options=Options(ignore=…)"),
        ({"trian": "rows.jsonl"}, "no keyword `trian`"),
    ],
)
def test_a_call_that_cannot_be_understood_says_what_to_pass(
    given: dict[str, Any], said: str
) -> None:
    with Engine() as engine, pytest.raises(TypeError, match=re.escape(said)):
        engine.preflight(EXACT, **given)


@pytest.mark.parametrize("asked", ["hackable", "row-count", "no-signal"])
def test_parts_of_the_text_that_hold_nothing_leave_no_gap(tmp_path: Path, asked: str) -> None:
    report = ask(tmp_path, {**EXACT, "operation": "like"}, select=(asked,))
    assert "\n\n\n" not in preflight_text(report, Screen(80, wraps=True))


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        (
            {"samples": [{"item": row, "samples": [row["answer"], "0"] * 4} for row in SUMS]},
            ["valid?       fine, 21 not checked: 60 rows read",
             "fair?        fine, 1 not checked: right answers 1.00, other rows' answers 0.00",
             "to learn?    fine: base model 0.50; rewards differ in 100% of groups of 8",
             "cost?        480 answers (60 rows x 8, if 1 epoch), "],
        ),
        (
            {"job": THREE_EPOCHS},
            ["to learn?    not checked: no --samples",
             "cost?        1,440 answers (60 rows x 8, 3 epochs), "],
        ),
        (
            {"train": None},
            ["valid?       fine, 34 not checked: no rows were given",
             "gameable?    not checked: no --train",
             "cost?        not checked: no --train"],
        ),
        (
            {"grader": {**EXACT, "operation": "like"}, "ignore": {"hackable": "a trial"}},
            ["gameable?    1 ignored: best of "],
        ),
    ],
    ids=["samples", "a job", "no rows", "ignored"],
)  # fmt: skip
def test_the_text_answers_each_of_the_five_questions_in_one_line(
    tmp_path: Path, given: dict[str, Any], lines: list[str]
) -> None:
    text = preflight_text(ask(tmp_path, **given), Screen(80, wraps=True)).splitlines()
    for line in lines:
        assert sum(one.startswith(line) for one in text) == 1
    assert [one.partition(" ")[0] for one in text if "?  " in one] == [
        "valid?", "fair?", "to", "gameable?", "cost?",
    ]  # fmt: skip
