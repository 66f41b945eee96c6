"""A row without a reward has none on any page, and what became of a run stands in the list of runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from graders_engine import Engine
from graders_engine.dataset.scoring.score import score_file
from graders_engine.errors import BackendFailure
from graders_engine.models.scripted import Scripted
from graders_engine.settings import EngineSettings
from tests.view.browsing import BROWSER, Tab, browsing

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium or Chrome on the PATH")
SOURCE = """
def grade(sample, item):
    return float(sample["output_text"])
"""
PYTHON = {"type": "python", "source": SOURCE}
JUDGE = {
    "type": "score_model", "name": "j", "model": "judge", "range": [0, 1],
    "input": [
        {"role": "system", "content": "Grade the answer."},
        {"role": "user", "content": "It is {{sample.output_text}}."},
    ],
}  # fmt: skip
LINES = """Object.fromEntries([...document.querySelectorAll("tbody tr")].map((line) =>
  [line.querySelector("th :is(a, b)").textContent, line]))"""


def write(path: Path, samples: list[list[str]]) -> Path:
    rows = [{"item": {"n": n}, "samples": texts} for n, texts in enumerate(samples)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of python that fails for some samples, one of a judge, and one whose judge is not there."""
    base = tmp_path_factory.mktemp("runs")
    first = write(base / "first.data.jsonl", [["0", "x"], ["1", "1"]])
    values = ["1.3262", *(f"{1.3259 + 0.0877 * n:.4f}" for n in range(11))]  # two of them are close
    many = write(base / "many.data.jsonl", [values])
    second = write(base / "second.data.jsonl", [["0", "0.5"], ["x", "1"]])
    with Engine() as engine:
        score_file(engine, PYTHON, first, base / "first.jsonl")
        score_file(engine, PYTHON, second, base / "second.jsonl")
        score_file(engine, PYTHON, many, base / "many.jsonl")
    with Engine.from_settings(EngineSettings(judges=Scripted(0.5))) as engine:
        score_file(engine, JUDGE, first, base / "judged.jsonl")
    away = Scripted(BackendFailure("It is not there."))
    with Engine.from_settings(EngineSettings(judges=away)) as engine:
        score_file(engine, JUDGE, first, base / "failed.jsonl")
    return base


@pytest.fixture(scope="module")
def browser(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browsing(runs, tmp_path_factory.mktemp("profile")) as tab:
        tab.look(1280)
        tab.start()
        tab.until("document.querySelectorAll('.mean-cell b').length === 4")
        yield tab


@pytest.fixture
def tab(browser: Tab) -> Iterator[Tab]:
    yield browser
    browser.is_quiet()


def test_an_invalid_row_has_no_reward_and_what_it_counts_as_is_said(tab: Tab) -> None:
    tab.go("runs/first.jsonl/rows")
    tab.until("document.querySelector('.rows tbody a')")
    assert "mean reward over 4 samples" in tab.text(".headline")
    assert "95 % interval" in tab.text(".headline")
    rewards = tab.value("[...document.querySelectorAll('td.reward')].map((one) => one.textContent)")
    assert rewards == ["0", "-", "1", "1"]
    statuses = "[...document.querySelectorAll('td.status')].map((one) => one.textContent)"
    assert tab.value(statuses) == [
        "scored", "python grader runtime, counts as 0", "scored", "scored",
    ]  # fmt: skip
    tab.go("runs/first.jsonl/rows/1%232")
    assert tab.text(".row-view .mean") == "-"
    assert "invalid, counts as 0, because of the grader" in tab.text(".facts")
    samples = "[...document.querySelectorAll('.samples b')].map((one) => one.textContent)"
    assert tab.value(samples) == ["0", "-"]
    assert tab.text(".part .fold pre").strip() == SOURCE.strip()
    tab.go("runs/first.jsonl/prompts")
    tab.until("document.querySelector('.square')")
    assert "-" in tab.text(".square.invalid")
    tab.go("compare?a=first.jsonl&b=second.jsonl")
    tab.until("document.querySelectorAll('.pair-table tbody tr').length === 4")
    lines = "[...document.querySelectorAll('.pair-table tbody tr')].map((line) => [...line.children].slice(0, 4).map((one) => one.textContent.trim()))"  # noqa: E501 - one expression
    assert {name: cells for name, *cells in tab.value(lines)} == {
        "1#1": ["0", "0", "same"],
        "1#2": ["-", "0.5", "newly valid"],
        "2#1": ["1", "-", "newly invalid"],
        "2#2": ["1", "1", "same"],
    }


def test_messages_to_a_judge_are_not_compared_with_each_other(tab: Tab) -> None:
    tab.go("runs/judged.jsonl/rows/1%231")
    assert "message 2" in tab.text(".part dl")
    assert "It is 0." in tab.text(".part dl")
    assert tab.value("document.querySelectorAll('.part :is(.left, .right)').length") == 0


def test_a_run_whose_rows_failed_shows_it_in_the_list(tab: Tab) -> None:
    tab.go("")
    tab.until("document.querySelectorAll('.mean-cell b').length === 4")
    failed = f"{LINES}['failed.jsonl'].querySelector('.much')"
    assert tab.value(f"{failed}.textContent") == "4 failed, 100.0 %"
    colours = (
        f"[{failed}, document.querySelector('.quiet')].map((one) => getComputedStyle(one).color)"
    )
    alarming, calm = tab.value(colours)
    assert alarming != calm
    heads = tab.value(
        "[...document.querySelectorAll('table.runs thead th:not([hidden])')].map((one) => one.innerText)"
    )
    assert "Mean\n95 % interval" in heads


def test_the_numbers_below_the_bars_do_not_touch_each_other(tab: Tab) -> None:
    tab.go("runs/many.jsonl/rows")
    tab.until("document.querySelector('.histogram text')")
    boxes = """[...document.querySelectorAll('.histogram text[text-anchor=middle]:not(.counted)')]
      .map((one) => one.getBoundingClientRect()).map(({left, right}) => [left, right])"""
    ends = tab.value(boxes)
    assert len(ends) > 4
    assert all(right < left for (_, right), (left, _) in pairwise(ends))


def test_an_address_that_is_no_page_says_so(browser: Tab) -> None:
    browser.go("nothing/here")
    assert browser.text("#page h1") == "No such page"
    assert "/view/nothing/here" in browser.text("#page")
    browser.page.messages.clear()  # the browser logs that the answer is a 404
