"""A budget for judges that is spent before all is graded: the report is printed, with what is left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from graders_engine.cli.main import graders
from tests.preflight.ask import SUMS, write_rows
from tests.preflight.graders import judge
from tests.preflight.seeded import judge as judges

GRADER = judge("{{item.answer}} / {{sample.output_text}}", range=[0, 1])

_FEWEST_TOKENS = 19
"""Of a call: those of the judge's verdict, and one of the question."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "train.jsonl", SUMS)
    return tmp_path


def with_tokens(most: int, command: str, *arguments: str) -> tuple[Result, judges.Judge]:
    right = {"rules": [{"contains": r"^(\d+) / \1$", "verdict": 1}], "default": 0}
    given = ["--grader", json.dumps(GRADER), "--reference-field", "answer", "--no-cache"]
    with judges.judging(right) as (url, found):
        budget = ["--base-url", url, "--max-tokens", str(most)]
        return CliRunner().invoke(graders, [command, *given, *budget, *arguments]), found


@pytest.mark.parametrize("most", [10, 400, 2000])
def test_preflight_prints_its_report_without_what_was_not_graded(most: int) -> None:
    ended, _ = with_tokens(most, "preflight", "--train", "train.jsonl", "--json")
    assert ended.exit_code == 1
    printed = json.loads(ended.stdout)
    left = {one["id"]: one["why"] for one in printed["not_checked"]}
    assert left["hackable"] == "the budget for judges was spent before"
    assert {one["severity"] for one in printed["findings"]} <= {"info"}
    said = " ".join(ended.stderr.split())
    assert "The budget for judges was spent after" in said
    assert "resume" not in said


def test_attack_fails_and_names_the_budget() -> None:
    ended, _ = with_tokens(400, "attack", "--data", "train.jsonl")
    assert ended.exit_code == 1
    assert "The budget for judges was spent after" in ended.stderr


@pytest.mark.parametrize("command", [("preflight", "--train"), ("attack", "--data")])
def test_answers_that_are_repeated_and_those_that_are_not_share_one_budget(
    command: tuple[str, str],
) -> None:
    _, found = with_tokens(2000, *command, "train.jsonl")
    assert 40 < found.asked <= 2000 / _FEWEST_TOKENS
