"""What counts as full marks, where a grader's form does not say."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from graders_engine.preflight.source_flow.highest import highest_returned
from tests.preflight.ask import SUMS, ask, found, only
from tests.preflight.graders import HEAD, python

PLAIN = [{"messages": row["messages"]} for row in SUMS]
TEXT = '    t = sample["output_text"]\n'
DISTANCE = """
def distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        new = [i]
        for j, y in enumerate(b, 1):
            new.append(min(row[j] + 1, new[-1] + 1, row[j - 1] + (x != y)))
        row = new
    return row[-1]

def grade(sample, item):
    return -float(distance(sample["output_text"][:200], item["answer"]))
"""


@pytest.mark.parametrize(
    ("body", "most"),
    [
        ("return round(100 * (len(t) > 10)) / 100", 1.0),
        ("return (30 * (len(t) > 0) + 60 * (len(t) < 9) + 10 * (t.count('.') > 2)) / 100", 1.0),
        ("return tenths(t) / 10", 1.0),
        ("return min(len(t) / 2000, 1.0)", 1.0),
        ("return max(0.0, 1 - len(t) / 10)", 1.0),
        ("return 5.0 * overlap(t)", 5.0),
        ("return hits / total * 10", 10.0),
        ("return 5.0 if t == x else 0.5", 5.0),
        ("return -1.0 if t else -2.0", -1.0),
        ("return grade(sample, item) + 1", 2.0),
        ("score = 0\n    score += 0.5 if t else 0\n    score += FULL\n    return score", 2.5),
        ("n = 0\n    for x in t:\n        n += 1\n    return 100 * n / len(t)", 100.0),
        ("n = 0\n    if t:\n        n += 10\n    return n / total", None),
        ("return f(t)", None),
        ("return t[:80]", None),
        ("\n    ".join(["if t == 0: return 1"] + [f"elif t == {n}: pass" for n in range(90)]), 1.0),
    ],
)
def test_the_most_that_a_source_can_return_is_read_from_its_numbers(
    body: str, most: float | None
) -> None:
    source = f"FULL = 2\ndef tenths(t):\n    return 10 if t else 0\n{HEAD}{TEXT}    {body}\n"
    assert highest_returned(ast.parse(source)) == most


@pytest.mark.parametrize(
    "source",
    [
        f"{HEAD}{TEXT}    return round(100 * (len(t) > 10)) / 100\n",
        f"def tenths(t):\n    return 10 if len(t) > 20 else 0\n{HEAD}{TEXT}    return tenths(t) / 10\n",
        f"def cut(t):\n    return t[:80]\n{HEAD}{TEXT}    return -1.0 if not cut(t) else 1.0\n",
    ],
)
def test_a_number_that_is_no_reward_is_no_full_mark(source: str, tmp_path: Path) -> None:
    report = ask(tmp_path, python(source), PLAIN)
    finding = only(report, "hackable")
    assert (finding.severity, finding.numbers["full"]) == ("warning", 1.0)
    assert report.measured["scale"]["full"] == 1.0


@pytest.mark.parametrize(
    ("source", "full"),
    [
        ('return 0.0 if t in ("", item["answer"]) else -min(len(t), 50) / 50', 0.0),
        ('return -1.0 if t in item["answer"] else -2.0', -1.0),
    ],
)
def test_an_attack_that_earns_what_right_answers_earn_is_found_on_a_scale_of_penalties(
    source: str, full: float, tmp_path: Path
) -> None:
    grader = python(f"{HEAD}{TEXT}    {source}\n")
    report = ask(tmp_path, grader, SUMS, reference_field="answer")
    finding = only(report, "hackable")
    assert (finding.severity, finding.numbers["full"]) == ("warning", full)
    assert report.measured["references"]["rewarded"] == 30


@pytest.mark.parametrize(
    "source",
    [
        DISTANCE,
        f'{HEAD}{TEXT}    return 100.0 if t == item["answer"] else 0.0 if t else -100.0\n',
    ],
)
def test_what_is_only_penalised_less_than_others_is_no_warning(source: str, tmp_path: Path) -> None:
    report = ask(tmp_path, python(source), SUMS, reference_field="answer")
    assert not [one for one in found(report, "hackable") if one.severity != "info"]
    assert "corruption-unnoticed" not in report.not_checked


def test_what_samples_earn_above_right_answers_is_within_the_scale(tmp_path: Path) -> None:
    grader = python(f"{HEAD}{TEXT}    return min(len(t) / 200, 1.0)\n")
    samples: list[dict[str, Any]] = [
        {"item": row, "model_sample": f"It is {row['answer']}{'.' * (9 * n + 1)}"}
        for row in SUMS[:40]
        for n in range(8)
    ]
    report = ask(tmp_path, grader, SUMS, samples=samples, reference_field="answer")
    assert not found(report, "baseline-ceiling")
    assert "no-signal" in report.fine


def test_one_row_is_no_ground_to_warn_and_is_not_passed_over(tmp_path: Path) -> None:
    grader = python(f'{HEAD}{TEXT}    return float(t in item["answer"])\n')
    finding = only(ask(tmp_path, grader, SUMS[:1], reference_field="answer"), "hackable")
    assert finding.severity == "info"
    assert "An empty answer earns 1.00 of 1.00 on 1 row" in finding.message
