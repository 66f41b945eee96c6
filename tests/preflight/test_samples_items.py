"""Samples whose item says something else than the training row that they belong to."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graders_engine import InvalidRequest
from tests.preflight.ask import EXACT, SUMS, ask, found, only

ROWS: list[dict[str, Any]] = list(SUMS[:40])


def samples(item: Callable[[Any], Any]) -> list[dict[str, Any]]:
    """Samples that are right for about half of each row's, with an item made of the row."""
    drawing = random.Random(7)  # noqa: S311 - no secret
    return [
        {"item": item(row), "model_sample": row["answer"] if drawing.random() < 0.5 else "0"}
        for row in ROWS
        for _ in range(8)
    ]


def test_samples_without_the_answer_are_graded_with_their_rows(tmp_path: Path) -> None:
    given = samples(lambda row: {"messages": row["messages"]})
    report = ask(tmp_path, EXACT, ROWS, samples=given)
    assert not found(report, "samples-unmatched")
    assert report.measured["baseline"]["samples"] == 320
    whole = ask(tmp_path, EXACT, ROWS, samples=samples(lambda row: row))
    assert report.measured["baseline"] == whole.measured["baseline"]


def test_samples_with_another_answer_than_their_row_are_told_and_graded_with_the_rows(
    tmp_path: Path,
) -> None:
    given = samples(lambda row: {**row, "answer": "-1"})
    report = ask(tmp_path, EXACT, ROWS, samples=given)
    finding = only(report, "samples-unmatched")
    assert finding.severity == "warning"
    assert finding.numbers == {"other_item": 320, "samples": 320}
    assert "item.answer" in finding.message
    assert report.measured["baseline"]["mean"] > 0.4


def test_a_sample_of_the_second_of_two_rows_with_one_prompt_is_that_rows(tmp_path: Path) -> None:
    again = [{**row, "answer": "-1"} for row in ROWS]
    given = [{"item": row, "model_sample": "-1"} for row in again]
    report = ask(tmp_path, EXACT, [*ROWS, *again], samples=given)
    assert not found(report, "samples-unmatched")
    assert report.measured["baseline"]["mean"] == 1.0


def test_samples_that_no_row_gives_an_answer_to_are_told(tmp_path: Path) -> None:
    given = samples(lambda row: row if int(row["answer"]) % 2 else {"messages": row["messages"]})
    finding = only(ask(tmp_path, EXACT, None, samples=given), "samples-unmatched")
    assert finding.severity == "warning"
    assert finding.numbers["not_graded"] == 8 * sum(not int(r["answer"]) % 2 for r in ROWS)


def test_a_reference_field_that_no_row_has_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="Did you mean `answer`"):
        ask(tmp_path, EXACT, reference_field="anwser")
