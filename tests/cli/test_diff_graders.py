"""`graders diff-graders`: stored outputs scored with two graders, and compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_compare import EXACT, FUZZY, graders, write_animals


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_animals(tmp_path / "rows.jsonl")


def test_two_versions_of_a_grader_are_scored_and_compared(rows: Path, tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(json.dumps(FUZZY))
    ended = graders(
        "diff-graders", tmp_path / "old.json", json.dumps(EXACT), "--data", rows, "--fail-if-worse"
    )
    assert ended.exit_code == 3
    assert ended.stdout.startswith("A  old.json\n   mean reward 0.9643")
    assert "\nB  NEW\n" in ended.stdout
    assert "evaluation_metric  removed, it was" in ended.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.json", "rows.jsonl"]


def test_rows_that_are_too_few_for_any_difference_are_said_to_be(tmp_path: Path) -> None:
    two = [{"item": {"label": "x"}, "model_sample": sample} for sample in ("X", "y")]
    data = tmp_path / "two.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in two))
    check = {"type": "string_check", "name": "same", "input": "{{sample.output_text}}",
             "reference": "{{item.label}}"}  # fmt: skip
    old, new = (json.dumps({**check, "operation": operation}) for operation in ("eq", "ilike"))
    ended = graders("diff-graders", old, new, "--data", data)
    assert "so few rows have no 80 % chance to detect even the largest difference" in ended.stdout


def test_rows_that_all_change_alike_have_no_interval_and_are_not_called_few(
    rows: Path, tmp_path: Path
) -> None:
    def grader(reward: float) -> str:
        source = f"def grade(sample, item):\n    return {reward}\n"
        return json.dumps({"type": "python", "name": "constant", "source": source})

    ended = graders("diff-graders", grader(0.9), grader(0.4), "--data", rows)
    assert "difference  -0.5000  95 % interval unknown\n" in ended.stdout
    assert "over 40 rows that count in both means: B is lower" in ended.stdout
    assert "every row changed by the same amount: without a spread there is no interval" in (
        ended.stdout
    )
    assert "so few" not in ended.stdout


def test_graders_in_files_of_one_name_are_told_apart_by_their_folders(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("v1", "v2"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "grader.json").write_text(json.dumps(EXACT))
    ended = graders("diff-graders", "v1/grader.json", "v2/grader.json", "--data", rows)
    assert ended.stdout.startswith("A  v1/grader.json\n")
    assert "\nB  v2/grader.json\n" in ended.stdout


def test_python_sources_are_shown_as_the_lines_that_changed(rows: Path) -> None:
    source = "def grade(sample, item):\n    label = item['label']\n    return {}\n"
    old, new = (
        {"type": "python", "name": "p", "source": source.format(value)}
        for value in ("1.0", "float(sample['output_text'] == label)")
    )
    ended = graders("diff-graders", json.dumps(old), json.dumps(new), "--data", rows)
    assert ended.exit_code == 0, ended.output
    assert (
        "    -    return 1.0\n    +    return float(sample['output_text'] == label)\n"
        in ended.stdout
    )
    assert "settings" not in ended.stdout


def test_an_interrupted_comparison_is_resumed(rows: Path, tmp_path: Path) -> None:
    arguments = [
        "diff-graders", json.dumps(FUZZY), json.dumps(EXACT), "--data", rows, "--out-dir", tmp_path / "kept",
    ]  # fmt: skip
    first = graders(*arguments)
    assert first.exit_code == 0, first.output
    new = tmp_path / "kept" / "new.jsonl"
    whole = new.read_bytes().splitlines()
    new.write_bytes(b"\n".join(whole[:7]) + b"\n")
    again = graders(*arguments)
    assert again.exit_code == 0, again.output
    assert again.stdout == first.stdout
    assert new.read_bytes().splitlines()[:7] == whole[:7]
    assert graders("compare", tmp_path / "kept" / "old.jsonl", new).stdout == first.stdout


def test_a_wrong_request_is_refused_before_anything_is_scored(rows: Path, tmp_path: Path) -> None:
    wrong = {**EXACT, "operation": "equals"}
    out = tmp_path / "kept"
    for arguments, reason in (
        ((json.dumps(EXACT), json.dumps(wrong), "--data", rows, "--out-dir", out), "Did you mean"),
        ((json.dumps(EXACT), json.dumps(EXACT), "--data", "-"), "The rows are read twice"),
        ((json.dumps(EXACT), "nwe.json", "--data", rows), "nwe.json: there is no such file"),
    ):
        ended = graders("diff-graders", *arguments)
        assert ended.exit_code == 2
        assert reason in ended.stderr
    assert not out.exists()


def test_how_rows_and_outputs_are_joined_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"label": "cat"}\n' * 30)
    (tmp_path / "outputs.jsonl").write_text('"cat"\n' * 30)
    data = ("--data", tmp_path / "rows.jsonl", "--outputs", tmp_path / "outputs.jsonl")
    ended = graders("diff-graders", json.dumps(EXACT), json.dumps(FUZZY), *data)
    assert ended.exit_code == 0, ended.output
    assert ended.stderr.count("rows and outputs are paired by position") == 1
    quiet = graders("diff-graders", json.dumps(EXACT), json.dumps(FUZZY), *data, "--quiet")
    assert "note" not in quiet.stderr
