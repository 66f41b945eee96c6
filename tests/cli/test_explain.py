"""`graders explain` finds a row and shows it from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_command_line import CHECK, graders


@pytest.fixture
def results(tmp_path: Path) -> Path:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        '{"item": {}, "model_sample": "cat"}\n{torn\n{"item": {}, "samples": ["dog", "cat"]}\n'
    )
    out = tmp_path / "results.jsonl"
    ended = graders("score", "--grader", CHECK, "--data", str(rows), "--out", str(out), "--quiet")
    assert ended.returncode == 0, ended.stderr
    return out


def test_a_row_of_a_run_is_found_again(results: Path) -> None:
    ended = graders("explain", str(results), "3")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("line 3#1 of 2\nreward   0.0  scored\nrecorded 0.0  scored\n")
    assert 'sample.output_text = "dog"' in ended.stdout
    for second in (["3", "--sample", "2"], ["3#2"], ["3#2", "--sample", "2"]):
        ended = graders("explain", str(results), *second, "--json")
        shown = json.loads(ended.stdout)
        assert (shown["sample"], shown["reward"], shown["recorded"]["reward"]) == (2, 1.0, 1.0)
        assert shown["recorded"]["group"] == "3"
        assert shown["samples"] == 2


def test_a_row_of_a_data_set_needs_no_results(results: Path, tmp_path: Path) -> None:
    ended = graders(
        "explain", "--grader", CHECK, "--data", str(tmp_path / "rows.jsonl"), "--row", "1"
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("line 1\nreward   1.0  scored\n\n")
    flat = tmp_path / "flat.jsonl"
    flat.write_text('{"out": "cat"}\n')
    flags = ["--grader", CHECK, "--data", str(flat), "--row", "1", "--sample-field", "out"]
    assert "reward   1.0" in graders("explain", *flags).stdout


def test_a_line_that_is_not_a_row_is_explained(results: Path) -> None:
    ended = graders("explain", str(results), "2")
    assert ended.returncode == 0, ended.stderr
    assert "reward   none  invalid" in ended.stdout
    assert "The line is not JSON" in ended.stdout


def test_a_result_that_differs_from_the_recorded_one_says_so(results: Path) -> None:
    dog = CHECK.replace("cat", "dog")
    ended = graders("explain", str(results), "1", "--grader", dog)
    assert "reward   0.0  scored\nrecorded 1.0  scored\nThey differ" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Pass RESULTS and a line, or --grader, --data and --row."),
        (["{results}"], "RESULTS needs a line"),
        (["{results}", "9"], "has no result for line 9."),
        (["{results}", "3", "--sample", "3"], "has no result for line 3#3."),
        (["{results}", "3#3"], "has no result for line 3#3."),
        (["{results}", "1#2"], "has no result for line 1#2."),
        (["{results}", "3#2", "--sample", "1"], "3#2 and --sample 1 are different samples."),
        (["{results}", "0"], "'0' is no row: write its line, or LINE#SAMPLE"),
        (["{results}", "3#0"], "'3#0' is no row"),
        (["{results}", "third"], "'third' is no row"),
        (["--row", "1"], "--row needs the grader"),
        (["--row", "1", "--grader", CHECK], "Pass the data set with --data."),
        (["--row", "9", "--grader", CHECK, "--data", "{data}"], "has no row on line 9."),
    ],
)  # fmt: skip
def test_missing_arguments_are_named(arguments: list[str], sentence: str, results: Path) -> None:
    names = {"{results}": str(results), "{data}": str(results.with_name("rows.jsonl"))}
    ended = graders("explain", *(names.get(argument, argument) for argument in arguments))
    assert ended.returncode == 2
    assert sentence in ended.stderr


def test_data_that_was_moved_is_asked_for(results: Path) -> None:
    data = results.with_name("rows.jsonl")
    data.rename(results.with_name("moved.jsonl"))
    ended = graders("explain", str(results), "3#2")
    assert ended.returncode == 1
    assert ended.stderr == (
        f"The data set cannot be read: {data}: there is no such file. "
        "If the data set was moved, pass its path with --data.\n"
    )
    ended = graders("explain", str(results), "3#2", "--data", str(results.with_name("moved.jsonl")))
    assert ended.stdout.startswith("line 3#2 of 2\nreward   1.0")
