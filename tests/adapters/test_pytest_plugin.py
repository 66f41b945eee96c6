"""`assert_reward` fails a test whose output has too small a reward, in a pytest of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.frameworks.heads import examples

TESTS = """
from graders_engine import Scripted
from graders_engine.errors import BackendFailure

CHECKS = {
    "type": "multi", "name": "mix", "calculate_output": "(exact + loose) / 2",
    "graders": {
        name: {
            "type": "string_check", "name": name, "operation": operation,
            "input": "{{sample.output_text}}", "reference": "{{item.answer}}",
        }
        for name, operation in (("exact", "eq"), ("loose", "ilike"))
    },
}
JUDGE = {
    "type": "score_model", "name": "judge", "model": "m", "range": [0, 1],
    "input": [{"role": "user", "content": "{{sample.output_text}}"}],
}


def fails(_):
    raise BackendFailure("the endpoint is down")


def test_enough(assert_reward):
    assert assert_reward(CHECKS, "paris", {"answer": "Paris"}, at_least=0.5).sub_rewards["exact"] == 0


def test_too_little(assert_reward):
    assert_reward(CHECKS, "paris", {"answer": "Paris"})


def test_an_outage(assert_reward):
    assert_reward(JUDGE, "x", at_least=0.0, judges=Scripted(fails))
"""


def run(folder: Path, *options: str, tests: str = TESTS) -> str:
    (folder / "test_outputs.py").write_text(tests)
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "pytest",
        "-rA",
        "-p",
        "no:cacheprovider",
        *options,
    ]
    ran = subprocess.run(
        [*command, "--rootdir", str(folder), str(folder)],
        capture_output=True, text=True, timeout=120, cwd=folder,
    )  # fmt: skip
    return ran.stdout + ran.stderr


@pytest.mark.parametrize(("said", "seen"), [("Paris", "1 passed"), ("Oslo", "1 failed")])
def test_the_example_of_the_head_runs(said: str, seen: str, tmp_path: Path) -> None:
    (block,) = examples("pytest_plugin", tmp_path)
    own = 'output = "Paris"'
    assert own in block
    printed = run(tmp_path, tests=block.replace(own, f'output = "{said}"'))
    assert seen in printed


def test_a_failure_names_the_reward_the_parts_and_the_output(tmp_path: Path) -> None:
    printed = run(tmp_path, f"--junitxml={tmp_path}/out.xml")
    assert "1 passed" in printed
    assert "2 failed" in printed
    assert "reward 0.5, but at least 1 was wanted (scored)" in printed
    assert "exact: 0.0" in printed
    assert "output: paris" in printed
    assert "no reward, but at least 0 was wanted (failed)" in printed
    assert "is down" in printed
    assert 'property name="mix" value="0.5"' in (tmp_path / "out.xml").read_text()


@pytest.mark.parametrize(("outage", "seen"), [("skip", "1 skipped"), ("xfail", "1 xfailed")])
def test_an_outage_may_be_another_end_than_a_failure(
    outage: str, seen: str, tmp_path: Path
) -> None:
    printed = run(tmp_path, f"--graders-outage={outage}")
    assert seen in printed
    assert "1 failed" in printed
