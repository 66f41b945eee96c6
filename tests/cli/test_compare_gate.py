"""What a comparison shows of the second run, and the exit code of --fail-if-worse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_compare import graders, run_of, scored, write_results


def test_one_function_says_what_is_shown_for_the_text_the_page_and_the_exit_code(
    tmp_path: Path,
) -> None:
    """Every row changed by the same amount, so there is no interval, and the p-value decides."""
    before, after = (run_of(tmp_path / f"{name}.jsonl", [name] * 200) for name in (0.8, 0.5))
    page = tmp_path / "page.html"
    worse = graders("compare", before, after, "--fail-if-worse", "--out", page)
    assert worse.exit_code == 3
    assert "that count in both means: B is lower" in worse.stdout
    assert "95 % interval unknown: B is lower" in page.read_text(encoding="utf-8")
    better = graders("compare", after, before, "--fail-if-worse")
    assert (better.exit_code, "B is higher" in better.stdout) == (0, True)


def test_a_difference_that_cannot_be_computed_is_a_miss(tmp_path: Path) -> None:
    huge = [1.7e308, -1.7e308] * 20
    before = run_of(tmp_path / "a.jsonl", huge)
    after = run_of(tmp_path / "b.jsonl", [-reward for reward in huge])
    ended = graders("compare", before, after, "--fail-if-worse")
    assert ended.exit_code == 3
    assert "Rewards are too large to compute the difference, so B may be worse." in ended.stderr
    assert "B is not comparable: rewards are too large" in ended.stdout
    assert "p = " not in ended.stdout


@pytest.mark.parametrize("margin", ["nan", "inf", "-1", "much"])
def test_a_margin_that_no_run_could_miss_is_refused(margin: str, tmp_path: Path) -> None:
    run = run_of(tmp_path / "a.jsonl", [1.0, 0.5])
    ended = graders("compare", run, run, f"--fail-if-worse={margin}")
    assert (ended.exit_code, "--fail-if-worse" in ended.stderr) == (2, True)


def test_which_run_has_not_ended_is_said(tmp_path: Path) -> None:
    sides = {
        name: write_results(tmp_path / f"{name}.jsonl", [scored(1, 1.0)], complete=complete)
        for name, complete in (("ended", True), ("stopped", False))
    }
    page = tmp_path / "page.html"
    shown = graders("compare", sides["ended"], sides["stopped"], "--out", page).stdout
    said = "This run has not ended: the numbers are those of its first rows"
    assert shown.count(said) == 1
    assert shown.index("B  ") < shown.index(said)
    text = page.read_text(encoding="utf-8")
    assert text.count(said) == 1
    assert text.index("B · stopped.jsonl") < text.index(said)
    found = json.loads(graders("compare", sides["stopped"], sides["ended"], "--json").stdout)
    assert (found["before"]["complete"], found["after"]["complete"]) == (False, True)
