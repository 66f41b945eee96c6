"""What a base model answered: floor, ceiling, signal, length, form, cut-off answers."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.dataset.scoring.score import score_file
from graders_engine.preflight.samples.right_answer_rejected import holds
from tests.preflight.ask import EXACT, SUMS, ask, found, only, write_rows

ROWS = SUMS[:40]


def samples(answer: Callable[[dict[str, Any], int], Any], each: int = 8) -> list[dict[str, Any]]:
    """The answers of a model to each row, so many times."""
    return [{"item": row, "model_sample": answer(row, n)} for row in ROWS for n in range(each)]


def warned(report: Any) -> list[str]:
    return [finding.id for finding in report.findings if finding.severity != "info"]


def sometimes(row: dict[str, Any], n: int) -> str:
    """Right for about half of the samples of each prompt."""
    chance = random.Random(f"{row['answer']}{n}").random()  # noqa: S311 - no secret
    return str(row["answer"]) if chance < 0.5 else "0"


def test_a_base_model_that_is_sometimes_right_has_no_finding(tmp_path: Path) -> None:
    report = ask(tmp_path, EXACT, ROWS, samples=samples(sometimes))
    assert warned(report) == []
    assert {*report.fine} >= {"samples-unmatched", "baseline-floor", "no-signal"}


def test_a_base_model_that_is_never_right_stands_at_the_floor(tmp_path: Path) -> None:
    report = ask(tmp_path, EXACT, ROWS, samples=samples(lambda row, n: "I do not know"))
    assert warned(report) == ["baseline-floor"]
    assert report.not_checked["no-signal"] == "follows from baseline-floor"


def test_a_base_model_that_is_nearly_always_right_stands_at_the_ceiling(tmp_path: Path) -> None:
    report = ask(tmp_path, EXACT, ROWS, samples=samples(lambda row, n: row["answer"]))
    assert warned(report) == ["baseline-ceiling"]


def test_prompts_that_are_always_or_never_solved_give_no_signal(tmp_path: Path) -> None:
    def answer(row: dict[str, Any], n: int) -> str:
        return str(row["answer"]) if int(row["answer"]) % 2 else "0"

    report = ask(tmp_path, EXACT, ROWS, samples=samples(answer))
    assert warned(report) == ["no-signal"]
    numbers = only(report, "no-signal").numbers
    assert (numbers["signal"], numbers["prompts"]) == (0.0, 40)
    assert numbers["always_lowest"] + numbers["always_full"] == 40


def test_one_sample_a_prompt_is_said_to_be_too_few(tmp_path: Path) -> None:
    report = ask(tmp_path, EXACT, ROWS, samples=samples(sometimes, each=1))
    assert only(report, "too-few-samples").numbers["single"] == 40
    assert "one sample" in report.not_checked["no-signal"]


def test_samples_of_other_rows_are_an_error_and_nothing_else_is_said_of_them(
    tmp_path: Path,
) -> None:
    others = [{"item": row, "model_sample": "1"} for row in SUMS[40:]]
    report = ask(tmp_path, EXACT, ROWS, samples=others)
    assert only(report, "samples-unmatched").severity == "error"
    assert report.not_checked["baseline-floor"] == "follows from samples-unmatched"


def test_some_samples_of_other_rows_are_a_warning_and_are_left_out(tmp_path: Path) -> None:
    others = [{"item": SUMS[50], "model_sample": "1"}] * 8
    report = ask(tmp_path, EXACT, ROWS, samples=[*samples(sometimes), *others])
    assert only(report, "samples-unmatched").numbers == {"unmatched": 8, "samples": 328}
    assert len(report.inputs.samples) == 320


def test_a_sample_belongs_to_the_row_with_its_id_whatever_else_changed(tmp_path: Path) -> None:
    rows = [{**row, "id": n} for n, row in enumerate(ROWS)]
    given = [{"item": {**row, "messages": [], "note": "new"}, "model_sample": "1"} for row in rows]
    report = ask(tmp_path, EXACT, rows, samples=given)
    assert not found(report, "samples-unmatched")


def test_samples_that_cannot_be_read_are_an_error_with_the_reason(tmp_path: Path) -> None:
    report = ask(tmp_path, EXACT, ROWS, samples=[{"question": "?", "reply": "!"}] * 30)
    finding = only(report, "samples-unmatched")
    assert finding.severity == "error"
    assert "cannot be read" in finding.message


def test_a_results_file_of_the_same_grader_is_read_and_nothing_is_graded_again(
    tmp_path: Path,
) -> None:
    data = write_rows(tmp_path / "outputs.jsonl", samples(sometimes))
    with Engine() as engine:
        score_file(engine, EXACT, data=data, out=tmp_path / "results.jsonl")
    train = write_rows(tmp_path / "train.jsonl", ROWS)
    with Engine() as engine:
        report = engine.preflight(EXACT, train=train, samples=tmp_path / "results.jsonl")
    with Engine() as engine:
        graded = engine.preflight(EXACT, train=train, samples=data)
    assert [sample.reward for sample in report.inputs.samples] == [
        sample.reward for sample in graded.inputs.samples
    ]
    assert len(report.inputs.samples) == 320


@pytest.mark.parametrize(("cut", "severity"), [(32, []), (33, ["warning"])])
def test_more_than_ten_per_cent_of_cut_off_samples_are_a_warning(
    tmp_path: Path, cut: int, severity: list[str]
) -> None:
    given = samples(sometimes)
    for one in given[:cut]:
        message = {"role": "assistant", "content": one.pop("model_sample")}
        one["sample"] = {"choices": [{"message": message, "finish_reason": "length"}]}
    report = ask(tmp_path, EXACT, ROWS, samples=given)
    assert [finding.severity for finding in found(report, "truncated-samples")] == severity


def test_json_in_a_fence_is_counted_where_the_grader_reads_json(tmp_path: Path) -> None:
    grader = {**EXACT, "input": "{{sample.output_json.sum}}"}

    def answer(row: dict[str, Any], n: int) -> str:
        text = json.dumps({"sum": row["answer"] if n % 2 else "0"})
        return f"```json\n{text}\n```" if n < 4 else text

    finding = only(ask(tmp_path, grader, ROWS, samples=samples(answer)), "unparsable-samples")
    assert finding.numbers["unparsable"] == finding.numbers["hold_json"] == 160


def test_right_answers_in_another_dress_that_earn_nothing_are_a_warning(tmp_path: Path) -> None:
    def answer(row: dict[str, Any], n: int) -> str:
        forms: Iterable[str] = (
            row["answer"],
            f"**{row['answer']}**",
            f"Sum:\n{row['answer']}.",
            "0",
        )
        return [*forms][n % 4]

    report = ask(tmp_path, EXACT, ROWS, samples=samples(answer))
    finding = only(report, "right-answer-rejected")
    assert finding.numbers["rejected"] == 160
    assert finding.numbers["holding"] == 240


@pytest.mark.parametrize(
    ("text", "reference", "same"),
    [
        ("42", "42", True),
        ("**42**", "42", True),
        ("The answer is 42.", "42", True),
        ("So 6 times 7.\n42", "42", True),
        ("It must be 42 then", "42", True),
        ("It must be 42, not 43", "42", False),
        ("142", "42", False),
        ("1,042", "1042", True),
        ('{"b": 2, "a": 1}', '{"a": 1, "b": 2}', True),
        ("Yes.", "yes", True),
        ("yes and no", "yes", False),
        ("", "42", False),
    ],
)
def test_an_answer_in_another_dress_is_the_answer(text: str, reference: str, same: bool) -> None:
    assert holds(text, reference) is same


def test_longer_answers_that_earn_more_are_said(tmp_path: Path) -> None:
    source = 'def grade(sample, item):\n    return min(len(sample["output_text"]) / 400, 1.0)'
    grader = {"type": "python", "name": "length", "source": source}
    report = ask(tmp_path, grader, ROWS, samples=samples(lambda row, n: "word " * (n + 1)))
    assert only(report, "follows-length").severity == "warning"


def test_an_attack_that_earns_more_than_the_base_model_is_a_warning(tmp_path: Path) -> None:
    source = """
def grade(sample, item):
    text = sample["output_text"]
    if text == item["answer"]:
        return 1.0
    return 0.49 if "What is" in text else 0.45 * (len(text) == 2)
"""
    grader = {"type": "python", "name": "copied", "source": source}
    report = ask(
        tmp_path, grader, ROWS, reference_field="answer",
        samples=samples(lambda row, n: row["answer"] if n < 2 else "0"), attacks=("prompt-copy",),
    )  # fmt: skip
    assert not found(report, "hackable")  # other rows' answers earn nearly as much
    finding = only(report, "beats-baseline")
    assert finding.numbers["baseline"] == pytest.approx(0.25)
    assert (finding.where[0].file, finding.where[0].line > 0) == (
        str(tmp_path / "train.jsonl"),
        True,
    )


def test_a_reward_with_two_steps_and_a_rare_signal_is_called_coarse(tmp_path: Path) -> None:
    def answer(row: dict[str, Any], n: int) -> str:
        solved = int(row["answer"]) % 3
        return str(row["answer"]) if solved == 1 or (solved == 2 and n == 0) else "0"

    assert (
        only(ask(tmp_path, EXACT, ROWS, samples=samples(answer)), "coarse-reward").severity
        == "info"
    )


def test_a_part_that_pays_every_answer_alike_is_dead(tmp_path: Path) -> None:
    form = {**EXACT, "name": "form", "operation": "like", "reference": "Answer:"}
    right = {**EXACT, "name": "right", "operation": "like", "reference": "{{item.answer}}"}
    grader = {
        "type": "multi", "name": "both", "graders": {"form": form, "right": right},
        "calculate_output": "0.4 * form + 0.6 * right",
    }  # fmt: skip
    given = samples(lambda row, n: f"Answer: {row['answer'] if n % 2 else '0'}")
    report = ask(tmp_path, grader, ROWS, samples=given)
    assert only(report, "dead-part").severity == "warning"
    assert only(report, "dead-part").numbers["variance"]["form"] == pytest.approx(0.0)
    varied = samples(
        lambda row, n: ["", "Answer: "][n // 2 % 2] + (row["answer"] if n % 2 else "0")
    )
    assert not found(ask(tmp_path, grader, ROWS, samples=varied), "dead-part")


def test_a_part_whose_mean_is_a_pole_of_the_formula_has_no_share(tmp_path: Path) -> None:
    one = {**EXACT, "name": "one"}
    two = {**EXACT, "name": "two", "operation": "like", "reference": "{{item.answer}}"}
    grader = {
        "type": "multi", "name": "pole", "graders": {"one": one, "two": two},
        "calculate_output": "0.1 * two / (one - 0.5)",
    }  # fmt: skip
    given = samples(lambda row, n: str(row["answer"]) if n % 2 else "0")
    report = ask(tmp_path, grader, ROWS, samples=given)
    assert "no value at a mean" in report.not_checked["dead-part"]
