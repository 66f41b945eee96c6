"""A question is fine only where what it stands for was measured; else the line says why it was not."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from graders_engine.graders.text_similarity import TextSimilarityGrader
from graders_engine.preflight.report import PreflightReport
from graders_engine.preflight.rows import insensitive
from graders_engine.report.preflight_verdicts import Verdict, verdicts
from graders_engine.report.terminal.preflight import preflight_text
from tests.preflight.ask import ask, only
from tests.preflight.graders import HEAD, python

LANDS = {"France": "Paris", "Italy": "Rome", "Japan": "Tokyo", "Kenya": "Nairobi", "Peru": "Lima"}
ROWS = [
    {
        "messages": [{"role": "user", "content": f"Capital of {land}, as JSON? ({number})"}],
        "capital": capital,
        "people": 10 + number,
    }
    for number in range(8)
    for land, capital in LANDS.items()
]
SAMPLES: list[dict[str, Any]] = [
    {"item": row, "samples": [json.dumps({"capital": name}) for name in (row["capital"], "Oslo")]}
    for row in ROWS
]
CONTAINED = python(
    HEAD + '    return 1.0 if sample["output_json"]["capital"] in item["capital"] else 0.0\n'
)
QUIET = python(
    HEAD + "    out = sample['output_json']\n"
    "    if not isinstance(out, dict) or 'capital' not in out:\n        return 0.0\n"
    "    return 1.0 if out['capital'] in item['capital'] else 0.0\n"
)
NUMBER = python(HEAD + "    return float(float(sample['output_text']) == item['people'])\n")
TEMPLATE = '{"capital": "{{item.capital}}"}'


def verdict(report: PreflightReport, question: str) -> Verdict:
    return next(one for one in verdicts(report) if one.question == question)


@pytest.mark.parametrize(
    ("grader", "why"),
    [
        (CONTAINED, "every hostile sample makes the grader fail, so that none measures it"),
        (QUIET, "the grader reads JSON, and nothing says with which keys"),
        (NUMBER, "hostile samples make the grader fail"),
    ],
    ids=["it raises", "it gives 0", "it raises for all but numbers"],
)
def test_attacks_that_never_reach_the_comparison_say_nothing_of_it(
    tmp_path: Path, grader: Mapping[str, Any], why: str
) -> None:
    report = ask(tmp_path, grader, train=ROWS)
    said = verdict(report, "Gameable?")
    assert (said.state, said.word) == ("unknown", "not checked")
    assert why in said.line
    assert "--reference-template" in said.line
    assert "--samples" in said.line
    assert "0.00 of" not in said.line
    assert "beats-baseline" in report.not_checked


def test_a_grader_that_reads_the_text_and_a_row_in_json_is_measured(tmp_path: Path) -> None:
    source = "    return float(sample['output_text'] in json.loads(item['right']) + [None])\n"
    rows = [{**row, "right": json.dumps([row["capital"]])} for row in ROWS]
    report = ask(tmp_path, python("import json\n" + HEAD + source), train=rows)
    assert verdict(report, "Gameable?").state == "fine"


@pytest.mark.parametrize("grader", [CONTAINED, QUIET], ids=["it raises", "it gives 0"])
@pytest.mark.parametrize(
    "shown",
    [{"reference_template": TEMPLATE}, {"samples": SAMPLES}],
    ids=["a template", "samples"],
)
def test_the_form_of_an_answer_is_taken_from_right_answers_or_from_samples(
    tmp_path: Path, grader: Mapping[str, Any], shown: Mapping[str, Any]
) -> None:
    report = ask(tmp_path, grader, train=ROWS, **shown)
    assert "An empty answer earns 1.00 of 1.00" in only(report, "hackable").message


def test_a_grader_that_fails_on_all_but_numbers_is_measured_where_right_answers_show_the_form(
    tmp_path: Path,
) -> None:
    report = ask(tmp_path, NUMBER, train=ROWS, reference_field="people")
    said = verdict(report, "Gameable?")
    assert said.state == "fine"
    assert re.search(r"best of \d+ attacks: .*; the grader fails on \d+ of them", said.line)


def test_right_answers_that_were_not_graded_are_not_fair(tmp_path: Path) -> None:
    grader = python(HEAD + "    return float(sample['output_text'].startswith('{'))\n")
    for samples in (None, SAMPLES):
        said = verdict(ask(tmp_path, grader, train=ROWS, samples=samples), "Fair?")
        assert said.state in ("unknown", "warning")
        assert "fine" not in said.line
    assert verdict(ask(tmp_path, grader, train=ROWS), "Fair?").line == (
        "not checked: no reference answers: name their field with --reference-field"
    )


def test_the_text_says_how_much_was_not_checked_as_the_page_does(tmp_path: Path) -> None:
    report = ask(tmp_path)
    text = preflight_text(report)
    for said in verdicts(report):
        if said.question != "Cost?":
            question = said.question.removeprefix("Anything ").lower()
            assert f"{question:<13}{said.word}" in text
    assert verdict(report, "Fair?").word == "fine, 2 not checked"


def test_a_question_whose_own_check_is_not_selected_is_not_answered(tmp_path: Path) -> None:
    report = ask(tmp_path, select=("weak-contrast",))
    assert report.fine == ["weak-contrast"]
    assert verdict(report, "Fair?").line == "not checked: reference-not-rewarded is not selected"


def test_other_answers_and_wrong_versions_that_only_make_the_grader_fail_are_not_noticed(
    tmp_path: Path,
) -> None:
    source = (
        HEAD + "    assert sample['output_json'] == {'capital': item['capital']}\n    return 1.0\n"
    )
    report = ask(tmp_path, python(source), train=ROWS, reference_template=TEMPLATE)
    assert report.not_checked["weak-contrast"] == "the grader fails on every answer of another row"
    assert report.not_checked["corruption-unnoticed"] == (
        "the grader fails on every wrong version of a right answer"
    )


def test_every_metric_that_is_advised_is_one_that_a_grader_may_name() -> None:
    said = " ".join(insensitive.FIXES.values())
    names = re.findall("`([a-z_]+)`", said)
    assert names
    for name in names:
        TextSimilarityGrader(type="text_similarity", input="", reference="", evaluation_metric=name)  # type: ignore[arg-type]


def test_groups_with_fewer_samples_than_asked_for_are_said_in_the_line(tmp_path: Path) -> None:
    report = ask(tmp_path, CONTAINED, train=ROWS, samples=SAMPLES)
    assert verdict(report, "Anything to learn?").clauses.endswith(
        "rewards differ in 100% of groups of 8 (all 40 prompts have fewer samples)"
    )
    few = [*SAMPLES[:3], *({**one, "samples": one["samples"] * 4} for one in SAMPLES[3:])]
    report = ask(tmp_path, CONTAINED, train=ROWS, samples=few)
    assert "(3 of 40 prompts have fewer samples)" in verdict(report, "Anything to learn?").clauses
