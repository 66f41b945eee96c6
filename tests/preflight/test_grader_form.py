"""What a grader's form says: what it reads of the answer, and how its parts count."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from graders_engine.preflight.findings import Finding
from tests.preflight.ask import EXACT, SUMS, ask, found
from tests.preflight.graders import CLOSE, HEAD, SAME, judge, multi, python

ITEM_ONLY = {**EXACT, "input": "{{item.messages}}"}


def findings(folder: Path, check: str, grader: Any, **more: Any) -> list[Finding]:
    return found(ask(folder, grader, SUMS, select=(check,), **more), check)


def severities(folder: Path, check: str, grader: Any, **more: Any) -> list[str]:
    return [finding.severity for finding in findings(folder, check, grader, **more)]


UNREAD: dict[str, Any] = {
    "a template": ITEM_ONLY,
    "python": python("def grade(sample, item):\n    return float(item['answer'] == '4')\n"),
    "python with other names": python("def grade(a, b):\n    return float(b['answer'] == '4')\n"),
    "a judge": judge("{{item.answer}}"),
    "a multi": multi("0.5 * one + 0.5 * other", one=ITEM_ONLY, other=ITEM_ONLY),
    "the parts that a multi's formula names": multi("one", one=ITEM_ONLY, exact=EXACT),
    "a formula without parts": multi("1", exact=EXACT),
    "a formula with one value": multi("exact * (1 - exact)"),
    "a formula that cuts everything off": multi("min(exact, 0)"),
    "a formula that multiplies by nothing": multi("0 * close + 0.5"),
}


@pytest.mark.parametrize("grader", UNREAD.values(), ids=UNREAD)
def test_a_grader_that_no_answer_moves(tmp_path: Path, grader: Any) -> None:
    assert severities(tmp_path, "sample-unread", grader) == ["error"]


READ: dict[str, Any] = {
    "a template": EXACT,
    "python": python(HEAD + SAME),
    "python with other names": python("def grade(a, b):\n    return float(a == b)\n"),
    "python that may see it": python("def grade(*args):\n    return float(len(args[0]))\n"),
    "python through a helper": python(
        "def of(s):\n    return s['output_text']\n\ndef grade(x, item):\n    return float(of(x) == '')\n"
    ),
    "an endpoint": {"type": "endpoint", "name": "e", "url": "http://127.0.0.1:9/grade"},
    "one part of a multi": multi("one * exact", one=ITEM_ONLY),
    "a formula that may cancel out": multi("close - 0.5 * close"),
    "a formula without a range": multi("exact / close"),
}


@pytest.mark.parametrize("grader", READ.values(), ids=READ)
def test_a_grader_that_an_answer_moves(tmp_path: Path, grader: Any) -> None:
    assert severities(tmp_path, "sample-unread", grader) == []


SHOW = "{{sample.output_text}}"
BLIND: dict[str, tuple[Any, list[str]]] = {
    "not shown": (multi("exact + blind", blind=judge("{{item.answer}}")), ["warning"]),
    "the only grader": (judge("{{item.answer}}"), ["warning"]),
    "in a system message only": (judge(SHOW, role="system"), ["warning"]),
    "in a developer message only": (judge(SHOW, role="developer"), ["warning"]),
    "in a user message": (judge("{{item.answer}}", SHOW), []),
    "in a block": (judge([{"type": "input_text", "text": SHOW}]), []),
    "as JSON": (judge("{{sample.output_json.total}}"), []),
    "in a system message, too": (
        judge(input=[{"role": role, "content": SHOW} for role in ("system", "user")]),
        ["info"],
    ),
    "two judges": (
        multi("a + b", a=judge("{{item.answer}}"), b=judge("{{item.answer}}")),
        ["warning", "warning"],
    ),
}


@pytest.mark.parametrize(("grader", "expected"), BLIND.values(), ids=BLIND)
def test_what_a_judge_is_shown(tmp_path: Path, grader: Any, expected: list[str]) -> None:
    assert severities(tmp_path, "judge-blind", grader) == expected


WITHOUT_VALUE: dict[str, dict[str, float]] = {
    "exact / close": {"close": 0},
    "1 / exact": {"exact": 0},
    "exact / (judge - 5)": {"judge": 5},
    "exact / (1 - close)": {"close": 1},
    "2 * exact * close / (exact + close)": {"exact": 0, "close": 0},
    "log(close)": {"close": 0},
    "log(exact) + judge": {"exact": 0},
    "sqrt(close - 0.5)": {"close": 0},
    "sqrt(close - exact)": {"close": 0, "exact": 1},
    "close ^ -1": {"close": 0},
    "(close - 1) ^ 0.5": {"close": 0},
    "exp(1000 * close)": {"close": 1},
    "exact / 0": {},
    "exact / code": {"code": 0},
    "exact / (1 - code)": {"code": 1},
    "log(code)": {"code": 0},
    "min(1, exact / close)": {"close": 0},
}


@pytest.mark.parametrize(("formula", "rewards"), WITHOUT_VALUE.items())
def test_a_formula_without_a_value_names_the_rewards_that_do_it(
    tmp_path: Path, formula: str, rewards: Mapping[str, float]
) -> None:
    (finding,) = findings(tmp_path, "formula-domain", multi(formula))
    assert finding.severity == "warning"
    assert finding.numbers["rewards"] == rewards


def test_a_pole_between_the_rewards_that_are_tried_is_found(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, "formula-domain", multi("1 / (close - 0.3)"))
    assert finding.numbers["rewards"]["close"] == pytest.approx(0.3)


@pytest.mark.parametrize(
    "formula",
    [
        "exact + close",
        "exact / 2",
        "exact / max(close, 0.01)",
        "exact / (1 + close)",
        "exact / (judge + 0.1)",
        "2 * exact * close / (exact + close + 0.001)",
        "log(1 + close)",
        "sqrt(close)",
        "sqrt(abs(close - exact))",
        "close ^ 0.5",
        "(close - 1) ^ 2",
        "exp(-10 * judge)",
        "sqrt(code)",
        "exact / (2 - code)",
    ],
)
def test_a_formula_that_always_has_a_value(tmp_path: Path, formula: str) -> None:
    assert not findings(tmp_path, "formula-domain", multi(formula))


def test_a_judge_that_gives_no_0_may_be_a_divisor(tmp_path: Path) -> None:
    grader = multi("exact / judge", judge=judge(range=[1.0, 5.0]))
    assert not findings(tmp_path, "formula-domain", grader)


@pytest.mark.parametrize(
    ("grader", "parts"),
    [
        (multi("exact", close=CLOSE, judge=judge()), ["close", "judge"]),
        (multi("exact + 0 * judge"), ["judge"]),
        (multi("exact + judge"), None),
        (multi("exact * (1 - judge)"), None),
    ],
)
def test_a_part_that_does_not_count(tmp_path: Path, grader: Any, parts: list[str] | None) -> None:
    reported = findings(tmp_path, "unused-part", grader)
    assert [(one.severity, one.numbers["parts"]) for one in reported] == (
        [("info", parts)] if parts else []
    )


MIXED: dict[str, dict[str, float]] = {
    "exact + judge": {"judge": 0.91, "exact": 0.09},
    "0.5 * exact + 0.5 * judge": {"judge": 0.91, "exact": 0.09},
    "(exact + judge) / 2": {"judge": 0.91, "exact": 0.09},
    "min(1, max(0, exact + judge))": {"judge": 0.91, "exact": 0.09},
    "judge - exact": {"judge": 0.91, "exact": 0.09},
    "exact * (judge + close)": {"judge": 0.91, "close": 0.09},
    "code + judge": {"judge": 0.91, "code": 0.09},
    "0.2 * exact + 0.4 * close + 0.9 * judge": {"judge": 0.94, "close": 0.04, "exact": 0.02},
}


@pytest.mark.parametrize(("formula", "shares"), MIXED.items())
def test_parts_on_different_scales_that_are_added(
    tmp_path: Path, formula: str, shares: dict[str, float]
) -> None:
    (finding,) = findings(tmp_path, "mixed-scales", multi(formula))
    assert finding.severity == "warning"
    assert finding.numbers["shares"] == pytest.approx(shares, abs=0.005)
    assert all(f"`{key}` {share:.0%}" in finding.message for key, share in shares.items())


@pytest.mark.parametrize(
    "formula",
    [
        "exact + close",
        "exact + judge / 10",
        "0.5 * exact + 0.05 * judge",
        "exact + 0.9 * judge",  # exactly 90 %
        "exact * judge",
        "max(exact, judge)",
        "0.95 * exact + 0.05 * close",  # one scale: the weights are meant
        "judge",
        "exact + close + judge",
    ],
)
def test_parts_whose_scales_do_no_harm(tmp_path: Path, formula: str) -> None:
    assert not findings(tmp_path, "mixed-scales", multi(formula))


def test_shares_are_not_checked_where_a_range_is_unknown(tmp_path: Path) -> None:
    length = python(HEAD + '    return len(sample["output_text"])\n')
    report = ask(tmp_path, multi("judge + length", length=length), select=("mixed-scales",))
    assert "length gives is unknown" in report.not_checked["mixed-scales"]


def test_a_small_bonus_of_a_source_is_no_other_scale(tmp_path: Path) -> None:
    bonus = python(HEAD + '    return 0.05 if sample["output_text"] else 0.0\n')
    assert not findings(tmp_path, "mixed-scales", multi("exact + bonus", bonus=bonus))


@pytest.mark.parametrize(
    ("formula", "part"),
    [
        ("0.95 * exact + 0.05 * close", "exact"),
        ("0.9 * exact + 0.1 * close", None),
        ("0.5 * exact + 0.5 * close", None),
        ("exact * close", None),
    ],
)
def test_a_part_that_is_nearly_all_of_the_reward(
    tmp_path: Path, formula: str, part: str | None
) -> None:
    reported = findings(tmp_path, "part-dominates", multi(formula))
    assert [one.severity for one in reported] == (["info"] if part else [])
    assert all(
        max(one.numbers["shares"], key=one.numbers["shares"].get) == part for one in reported
    )


def test_what_follows_from_mixed_scales_is_not_reported_again(tmp_path: Path) -> None:
    report = ask(tmp_path, multi("exact + judge"), select=("mixed-scales", "part-dominates"))
    assert report.not_checked["part-dominates"] == "follows from mixed-scales"


def test_a_limit_can_be_changed(tmp_path: Path) -> None:
    grader = multi("0.7 * exact + 0.3 * close")
    assert not findings(tmp_path, "part-dominates", grader)
    assert findings(tmp_path, "part-dominates", grader, limits={"part_width": 0.6})


TRAINING: list[tuple[Any, str, list[str]]] = [
    ({**CLOSE, "evaluation_metric": "cosine"}, "none", ["warning"]),
    ({**CLOSE, "evaluation_metric": "cosine"}, "openai", ["error"]),
    (multi("exact + near", near={**CLOSE, "evaluation_metric": "cosine"}), "openai", ["error"]),
    (
        {
            "type": "label_model",
            "name": "label",
            "model": "gpt-4o-mini",
            "labels": ["good", "bad"],
            "passing_labels": ["good"],
            "input": [{"role": "user", "content": SHOW}],
        },
        "none",
        ["warning"],
    ),
    (CLOSE, "openai", []),
    (judge(), "openai", []),
]


@pytest.mark.parametrize(("grader", "service", "expected"), TRAINING)
def test_a_grader_that_the_service_takes_in_evals_only(
    tmp_path: Path, grader: Any, service: Any, expected: list[str]
) -> None:
    job = {"method": {"type": "reinforcement", "reinforcement": {}}}
    assert severities(tmp_path, "not-for-training", grader, job=job, service=service) == expected


def test_without_a_job_any_grader_may_be_trained_with(tmp_path: Path) -> None:
    cosine = {**CLOSE, "evaluation_metric": "cosine"}
    report = ask(tmp_path, cosine, select=("not-for-training",))
    assert report.not_checked == {"not-for-training": "no --job"}


ROUGE = {**CLOSE, "evaluation_metric": "rouge_l"}


@pytest.mark.parametrize(
    ("grader", "every", "expected"),
    [
        (ROUGE, 4, ["warning"]),
        (ROUGE, 5, []),  # exactly 20 %
        (multi("exact + rouge", rouge=ROUGE), 4, ["warning"]),
        ({**ROUGE, "input": ROUGE["reference"], "reference": SHOW}, 4, ["warning"]),
        (CLOSE, 1, []),
        ({**ROUGE, "reference": "{{item.answer}} km"}, 1, []),
    ],
)
def test_rouge_on_texts_of_which_it_sees_nothing(
    tmp_path: Path, grader: Any, every: int, expected: list[str]
) -> None:
    rows = [
        {**row, "answer": row["answer"] if number % every else "Новый ответ"}
        for number, row in enumerate(SUMS)
    ]
    report = ask(tmp_path, grader, rows, select=("latin-only-metric",))
    assert [finding.severity for finding in report.findings] == expected


def test_letters_with_marks_only_are_not_seen_by_rouge(tmp_path: Path) -> None:
    rows = [{**row, "answer": "ÄÖ"} for row in SUMS]
    (finding,) = ask(tmp_path, ROUGE, rows, select=("latin-only-metric",)).findings
    assert finding.numbers == {"unseen": 60, "of": 60}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("会議は{}年に橋を開いた。", ["warning"]), ("{} €", []), ("{} м", ["warning"]), ("{} m", [])],
)
def test_rouge_sees_the_numbers_alone_of_a_text_in_another_script(
    tmp_path: Path, answer: str, expected: list[str]
) -> None:
    rows = [{**row, "answer": answer.format(row["answer"])} for row in SUMS]
    checks = ("latin-only-metric", "hackable")
    report = ask(tmp_path, ROUGE, rows, select=checks, attacks=("number-flood",))
    assert [one.severity for one in report.findings if one.id == checks[0]] == expected
    assert (report.not_checked.get("hackable") == f"follows from {checks[0]}") == bool(expected)
