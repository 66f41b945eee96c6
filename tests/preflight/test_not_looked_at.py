"""A check that could look at nothing is not fine, and none stops at a value that it cannot follow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graders_engine.preflight.check import Check
from graders_engine.preflight.table import CHECKS
from tests.preflight.ask import EXACT, SUMS, ask, only
from tests.preflight.graders import job

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
