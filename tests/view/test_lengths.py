"""The length of the sample: its column, filter and order, and whether rewards follow it."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no type information

from graders_engine import Engine
from graders_engine.dataset.results.digest import digest
from graders_engine.dataset.results.meta import read_meta
from graders_engine.dataset.scoring.score import score_file
from graders_engine.report.row_texts import texts_of
from graders_engine.view.context import StillReading
from graders_engine.view.lengths import reading
from graders_engine.view.opened import OpenRun
from graders_engine.view.query import parse_query
from tests.view.asking import Page
from tests.view.runs_to_open import opened, write_data
from tests.view.test_search import ROWS_OF, run_of

GRADER = {
    "type": "string_check",
    "name": "says yes",
    "input": "{{sample.output_text}}",
    "reference": "yes",
    "operation": "like",
}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def ordered(run: OpenRun, query: str = "") -> list[int]:
    """The rows that are asked for, when the lengths are read."""
    while True:
        try:
            selection = run.rows(parse_query(f"per_page=200&{query}"))
        except StillReading:
            continue
        return selection.indexes()


def lengths_in_the_report(path: Path) -> list[float]:
    results = digest(path).kept()
    texts = texts_of(results, read_meta(path), file=path, budget_bytes=1 << 30)
    assert not texts.why_none
    return [
        text.sample_chars if text.has_sample else math.nan
        for text in (
            texts.of(line) for line in sorted(results, key=lambda one: (one.line, one.sample))
        )
    ]


@settings(max_examples=15)
@given(
    rows=st.lists(ROWS_OF.filter(lambda row: row["samples"]), min_size=1, max_size=6),
    segment_bytes=st.sampled_from((64, 1 << 20)),
)
def test_lengths_are_those_of_the_texts_that_a_report_has(
    rows: list[Any], segment_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = run_of(tmp_path_factory.mktemp("run"), rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "SEGMENT_BYTES", segment_bytes)
        patch.setattr(reading, "IN_PLACE", 1 << 30)
        run = opened(OpenRun(path))
        by_length = ordered(run, "sort=length")
    expected = lengths_in_the_report(path)
    np.testing.assert_array_equal(run.columns.known_lengths(), expected)
    keys = [(math.inf if math.isnan(one) else one, row) for row, one in enumerate(expected)]
    assert by_length == [row for _, row in sorted(keys)]
    assert ordered(run, "length=..3") == [row for row, one in enumerate(expected) if one <= 3]


def test_a_process_of_its_own_reads_the_same_and_the_next_run_has_it_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = [{"item": "x", "samples": ["a" * n, {"output": 7}, "b"]} for n in range(1, 20)]
    path = run_of(tmp_path, rows)
    monkeypatch.setattr(reading, "IN_PLACE", 0)
    first = opened(OpenRun(path))
    assert ordered(first, "length=9..9") == [3 * 8]
    monkeypatch.setattr(reading, "Child", None)
    again = opened(OpenRun(path))
    assert ordered(again, "length=9..9") == [3 * 8]
    assert sum(np.isnan(again.columns.known_lengths())) == 19


def test_while_the_lengths_are_read_the_page_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = run_of(tmp_path, [{"item": "x", "samples": ["a"]}])
    ends = threading.Event()
    monkeypatch.setattr(reading, "store_lengths", lambda *_: ends.wait())
    run = opened(OpenRun(path))
    with pytest.raises(StillReading) as still:
        run.rows(parse_query("sort=length"))
    assert still.value.what == "the lengths of the samples"
    assert ordered(run) == [0]
    ends.set()


def test_without_the_data_set_the_lengths_are_unknown_and_said_to_be(tmp_path: Path) -> None:
    run_of(tmp_path, [{"item": "x", "samples": ["a"]}])
    (tmp_path / "data.jsonl").unlink()
    page = Page(tmp_path)
    rows = page.json("runs/results.jsonl/rows")
    assert [row["length"] for row in rows["rows"]] == [None]
    answer = page.get("runs/results.jsonl/rows?length=1..")
    assert answer.status == 422
    assert answer.error["message"].count("--data") == 1


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose rewards follow the length, and one row whose sample cannot be read."""
    base = tmp_path_factory.mktemp("scored")
    rows: list[Any] = [
        {"item": {"id": n}, "samples": ["no", "n" * (n + 3), "yes" + "!" * n, "yes" * (n + 2)]}
        for n in range(25)
    ]
    rows.append({"item": {"id": "odd"}, "samples": [{"output": 7}]})
    data = write_data(base, rows)
    with Engine() as engine:
        score_file(engine, GRADER, data, base / "run.jsonl")
    return base


def test_the_page_says_whether_rewards_follow_the_length(scored: Path) -> None:
    page = Page(scored)
    listed = page.json("runs/run.jsonl/rows?per_page=200")["rows"]
    found = page.json("runs/run.jsonl/lengths")
    assert (found["rows"], found["unknown"], found["of"]) == (100, 1, 101)
    known = [row for row in listed if row["length"] is not None]
    pairs = np.array([(row["reward"], row["length"]) for row in known])
    assert found["correlation"] == pytest.approx(stats.spearmanr(*pairs.T).statistic)
    centred = pairs.reshape(25, 4, 2) - pairs.reshape(25, 4, 2).mean(axis=1, keepdims=True)
    within = stats.spearmanr(*centred.reshape(100, 2).round(9).T).statistic
    assert found["within"] == {"correlation": pytest.approx(within), "rows": 100, "prompts": 25}
    assert sum(quarter["rows"] for quarter in found["quarters"]) == 100
    for quarter in found["quarters"]:
        selection = page.json(f"runs/run.jsonl/rows?{urlencode({'length': quarter['range']})}")
        assert selection["count"] == quarter["rows"]
        assert selection["selection"]["mean"] == quarter["mean"]


def test_the_figures_are_of_the_rows_that_are_asked_for(scored: Path) -> None:
    found = Page(scored).json("runs/run.jsonl/lengths?reward=1..1")
    assert (found["correlation"], found["within"]["correlation"]) == (None, None)
    assert {quarter["mean"]["value"] for quarter in found["quarters"]} == {1.0}
    empty = Page(scored).json("runs/run.jsonl/lengths?reward=7..")
    assert (empty["rows"], empty["quarters"]) == (0, [])
