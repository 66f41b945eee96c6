"""What one cause brings about is said once: by the check of the cause, with what follows from it named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.preflight.ask import EXACT, SUMS, ask, only
from tests.preflight.graders import HEAD, judge, multi, python

ROWS = SUMS[:24]
PROMPT_HOLDS_IT = [
    {
        "messages": [{"role": "user", "content": f"Which town is meant? No {n} lies in {town} now."}],
        "answer": town,
    }
    for n, town in enumerate(f"{first}{last}" for first in ("Al", "Bri", "Cor", "Dun", "Es", "Fal")
                             for last in ("mouth", "ton", "wick", "ford"))
]  # fmt: skip
LIKE = {**EXACT, "operation": "ilike"}
WITHIN = {**LIKE, "input": "{{item.answer}}", "reference": "{{sample.output_text}}"}
PAID_EMPTY = python(HEAD + '    text = sample["output_text"]\n'
                    '    return 0.6 if not text else float(text == item["answer"])\n')  # fmt: skip


def get(name: str, rest: str = 'return float(sample["output_text"] == gold)') -> dict[str, Any]:
    return python(f"{HEAD}    gold = item.get({name!r}, '')\n    {rest}\n")


def samples(right: int) -> list[dict[str, Any]]:
    return [{"item": row, "model_sample": row["answer"] if n < right else "0"}
            for row in ROWS for n in range(8)]  # fmt: skip


CASES: list[tuple[str, Any, dict[str, Any], list[str], dict[str, str]]] = [
    (
        "a judge alone that is shown no answer",
        judge("Rate {{item.answer}}"), {},
        ["sample-unread"], {"judge-blind": "follows from sample-unread"},
    ),
    (
        "a formula of nothing but a judge that is shown no answer",
        multi("judge", judge=judge("Rate {{item.answer}}"), exact=EXACT), {},
        ["sample-unread"], {"judge-blind": "follows from sample-unread"},
    ),
    (
        "an optional field that no row has is what answers are compared with",
        get("gold_value"), {"reference_field": "answer"},
        ["missing-field"], {"constant-reward": "follows from missing-field"},
    ),
    (
        "the same with a slip in its name",
        get("anser"), {"reference_field": "answer"},
        ["missing-field"], {"constant-reward": "follows from missing-field"},
    ),
    (
        "an optional list that no row has is held by every answer",
        get("words", 'return float(all(word in sample["output_text"] for word in gold))'),
        {"reference_field": "answer"},
        ["missing-field"], {"constant-reward": "follows from missing-field"},
    ),
    (
        "an optional field that no row has makes an empty answer the right one",
        get("gold_value"), {"reference_field": "answer", "attacks": ("empty",)},
        ["missing-field"], {"hackable": "follows from missing-field"},
    ),
    (
        "an empty answer earns more than the base model",
        PAID_EMPTY, {"reference_field": "answer", "samples": samples(right=2)},
        ["hackable"], {"beats-baseline": "follows from hackable"},
    ),
    (
        "the answer anywhere in a text, where the prompt holds it",
        LIKE, {"train": PROMPT_HOLDS_IT},
        ["hackable"], {"insensitive": "what is written without the right answer earns as much: see hackable"},
    ),
    (
        "any part of the answer, an empty one too",
        WITHIN, {"train": [{**row, "answer": f"It is {row['answer']}"} for row in ROWS],
                 "reference_field": "answer"},
        ["hackable"], {"insensitive": "what is written without the right answer earns as much: see hackable"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("grader", "given", "warned", "follows"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_a_cause_is_said_and_what_follows_from_it_is_not(
    tmp_path: Path, grader: Any, given: dict[str, Any], warned: list[str], follows: dict[str, str]
) -> None:
    report = ask(tmp_path, grader, **{"train": ROWS, **given})
    assert [one.id for one in report.findings if one.severity != "info"] == warned
    assert {check: report.not_checked.get(check) for check in follows} == follows


def test_an_optional_field_without_which_right_answers_are_rewarded_is_no_cause(
    tmp_path: Path,
) -> None:
    weighed = get("weight", 'return (gold or 1.0) * float(sample["output_text"] == item["answer"])')
    report = ask(tmp_path, weighed, ROWS, reference_field="answer")
    assert only(report, "missing-field").severity == "info"


def test_without_an_answer_that_is_known_to_be_right_an_optional_field_stays_optional(
    tmp_path: Path,
) -> None:
    report = ask(tmp_path, get("gold_value"), [{"messages": row["messages"]} for row in ROWS])
    assert only(report, "missing-field").severity == "info"


def test_a_missing_optional_field_tells_what_the_answers_earned(tmp_path: Path) -> None:
    finding = only(ask(tmp_path, get("gold_value"), ROWS, reference_field="answer",
                       attacks=("refusal",)), "missing-field")  # fmt: skip
    assert finding.severity == "warning"
    assert "answers earn 0: right ones, wrong ones and empty ones alike" in finding.message


def test_what_the_right_answer_adds_to_what_is_written_without_it_is_still_said(
    tmp_path: Path,
) -> None:
    grader = python(HEAD + '    text = sample["output_text"]\n'
                    '    return 1.0 if item["answer"] in text else 0.6 * (not text)\n')  # fmt: skip
    report = ask(tmp_path, grader, PROMPT_HOLDS_IT, reference_field="answer",
                 attacks=("empty", "hedge"))  # fmt: skip
    assert [one.id for one in report.findings if one.severity == "warning"] == [
        "hackable", "insensitive",
    ]  # fmt: skip


def test_the_finding_of_an_attack_names_what_the_base_model_earns(tmp_path: Path) -> None:
    report = ask(
        tmp_path, PAID_EMPTY, ROWS, reference_field="answer", samples=samples(right=2),
        attacks=("empty",),
    )  # fmt: skip
    assert only(report, "hackable").message.endswith("the base model 0.25.")
