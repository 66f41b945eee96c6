"""Right answers that stand in a field whose name says so, and that the grader refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.preflight.ask import EXACT, SUMS, ask, found, only
from tests.preflight.graders import HEAD, python

NUMBER = (
    '    try:\n        return float(float(sample["output_text"]) == float(item["{}"]))\n'
    "    except ValueError:\n        return 0.0\n"
)


@pytest.mark.parametrize("name", ["answer", "solution", "reference", "label"])
@pytest.mark.parametrize("every", [10, 2])
def test_values_of_a_field_named_as_the_answer_that_earn_nothing_are_a_warning(
    tmp_path: Path, name: str, every: int
) -> None:
    rows = [
        {"messages": row["messages"], name: f"{row['answer']}{' items' * (n % every == 0)}"}
        for n, row in enumerate(SUMS[:30])
    ]
    finding = only(
        ask(tmp_path, python(HEAD + NUMBER.format(name)), rows), "reference-not-rewarded"
    )
    assert (finding.severity, finding.numbers["missed"]) == ("warning", 30 // every)


def test_a_grader_that_refuses_every_value_of_the_answer_is_a_warning(tmp_path: Path) -> None:
    rows = [{**row, "answer": f"{row['answer']} items"} for row in SUMS]
    finding = only(ask(tmp_path, python(HEAD + NUMBER.format("answer")), rows), "constant-reward")
    assert finding.severity == "warning"
    assert "compare what the grader reads" in finding.fix


def test_an_answer_that_a_model_would_write_in_another_form_is_no_warning(tmp_path: Path) -> None:
    source = (
        HEAD + '    return float(f"<answer>{item[\'answer\']}</answer>" in sample["output_text"])\n'
    )
    report = ask(tmp_path, python(source))
    assert not found(report, "constant-reward")
    finding = only(report, "reference-not-rewarded")
    assert finding.severity == "info"
    assert "--reference-template" in finding.fix


def test_code_that_fails_on_every_other_form_of_answer_is_told_without_samples(
    tmp_path: Path,
) -> None:
    source = HEAD + '    return float(int(sample["output_text"]) == int(item["answer"]))\n'
    finding = only(ask(tmp_path, python(source)), "grader-fails")
    assert finding.severity == "info"
    assert finding.numbers["failed"] > finding.numbers["graded"] / 2


@pytest.mark.parametrize(
    "leak",
    ["The correct answer is {}.", "(hint: the answer is {})", "Expected output: {}", "Answer: {}"],
)
@pytest.mark.parametrize(("every", "severity"), [(1, "warning"), (6, "info")])
def test_a_prompt_that_gives_the_answer_away_is_told(
    tmp_path: Path, leak: str, every: int, severity: str
) -> None:
    rows = [
        {
            **row,
            "messages": [
                {"role": "system", "content": leak.format(row["answer"]) if n % every == 0 else ""},
                {"role": "user", "content": f"Sum {n}?"},
            ],
        }
        for n, row in enumerate(SUMS)
    ]
    finding = only(ask(tmp_path, None, rows, select=["files"]), "answer-in-prompt")
    assert (finding.severity, finding.rows) == (severity, 60 // every)


@pytest.mark.parametrize("prompt", ["The answer is a number, not {}.", "Is the answer above {}?"])
def test_a_prompt_that_speaks_of_the_answer_without_giving_it_is_no_leak(
    tmp_path: Path, prompt: str
) -> None:
    rows = [
        {**row, "messages": [{"role": "user", "content": prompt.format(row["answer"])}]}
        for row in SUMS
    ]
    assert not found(ask(tmp_path, None, rows, select=["files"]), "answer-in-prompt")


def test_a_key_that_the_grader_reads_and_no_sample_has_is_a_warning(tmp_path: Path) -> None:
    def grader(key: str) -> dict[str, str]:
        return {**EXACT, "input": f"{{{{sample.output_json.{key}}}}}"}

    given = [{"item": row, "model_sample": f'{{"total": "{row["answer"]}"}}'} for row in SUMS[:30]]
    finding = only(ask(tmp_path, grader("amount"), SUMS, samples=given), "unparsable-samples")
    assert finding.severity == "warning"
    assert "30 of 30" in finding.message
    assert not found(ask(tmp_path, grader("total"), SUMS, samples=given), "unparsable-samples")


def test_an_answer_among_the_steps_to_it_is_no_warning_about_words_out_of_order(
    tmp_path: Path,
) -> None:
    source = (
        "import re\n" + HEAD + '    found = re.findall(r"\\d+", sample["output_text"])\n'
        '    return float(found[-1:] == re.findall(r"#### (\\d+)", item["answer"]))\n'
    )
    rows = [
        {**row, "answer": f"First add both numbers, then check it.\n#### {row['answer']}"}
        for row in SUMS
    ]
    grave = [
        one.id for one in ask(tmp_path, python(source), rows).findings if one.severity != "info"
    ]
    assert grave == []


def test_a_part_that_every_sample_gets_right_is_an_info(tmp_path: Path) -> None:
    rows = [{**row, "unit": f"u{n}"} for n, row in enumerate(SUMS[:40])]
    part = {"type": "string_check", "name": "part", "operation": "eq"}
    parts = {
        key: {
            **part,
            "input": f"{{{{sample.output_json.{key}}}}}",
            "reference": f"{{{{item.{key}}}}}",
        }
        for key in ("unit", "answer")
    }
    grader = {
        "type": "multi", "name": "both", "graders": parts,
        "calculate_output": "0.4 * unit + 0.6 * answer",
    }  # fmt: skip
    given = [
        {
            "item": row,
            "model_sample": json.dumps(
                {"unit": row["unit"], "answer": row["answer"] if n % 2 else "0"}
            ),
        }
        for row in rows
        for n in range(8)
    ]
    report = ask(tmp_path, grader, rows, samples=given)
    assert only(report, "dead-part").severity == "info"
