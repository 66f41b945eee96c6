"""An option of one value that is given several times: no value is silently left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from graders_engine.cli import main as cli

CHECK = json.dumps(
    {"type": "string_check", "name": "n", "operation": "eq", "input": "a", "reference": "x"}
)  # fmt: skip
KEY = "http://localhost:1/v1?key=abc12345"


def graders(*arguments: str) -> Result:
    return CliRunner().invoke(cli.graders, arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["score", CHECK, "--data", "a.jsonl", "--out", "o", "--outputs", "x.jsonl", "--outputs=y.jsonl"],
         ["--outputs is given 2 times", "x.jsonl and y.jsonl", "the lines of both"]),
        (["score", CHECK, "--data", "a.jsonl", "--data", "b.jsonl", "--out", "o"],
         ["--data is given 2 times", "a.jsonl and b.jsonl"]),
        (["score", CHECK, "--data", "a", "--out", "o", "--join-on", "id", "--join-on", "n"], ["id and n"]),
        (["report", "a.jsonl", "--passing", "0.1", "--passing", "0.2"], ["0.1 and 0.2"]),
        (["validate", "--grader", CHECK, "--adaptive", "--no-adaptive"],
         ["--adaptive and --no-adaptive contradict each other"]),
        (["validate", "--grader", CHECK, "--grader", "{}"], ["--grader is given 2 times"]),
        (["validate", CHECK, "--map", "a=b", "--map", "a=c"], ["--map a", "b and c"]),
        (["validate", CHECK, "--limit", "wall_s=3", "--limit", "wall_s=4"], ["--limit wall_s", "3 and 4"]),
        (["validate", CHECK, "--variant", "bleu=a", "--variant", "bleu=b"], ["--variant bleu", "a and b"]),
    ],
)  # fmt: skip
def test_different_values_of_an_option_of_one_value_are_refused(
    arguments: list[str], said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = graders(*arguments)
    assert ran.exit_code == 2
    shown = " ".join(ran.stderr.split()) if ran.stderr else str(ran.exception)
    assert all(part in shown for part in said), shown


def test_the_same_value_may_be_given_twice() -> None:
    assert graders("validate", "--grader", CHECK, "--grader", CHECK).exit_code == 0
    assert graders("validate", CHECK, "--map", "a=b", "--map", "a=b", "--map", "c=b").exit_code == 0


def test_of_values_that_may_hold_a_key_none_is_repeated() -> None:
    ran = graders("validate", CHECK, "--base-url", KEY, "--base-url", "http://localhost:2/v1")
    assert ran.exit_code == 2
    assert "abc12345" not in ran.output + ran.stderr + str(ran.exception)
