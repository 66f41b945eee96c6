"""The page of a run says first what the hosted dashboard says, for a run in any state."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graders_engine.evals.hosted.into_store import import_into
from graders_engine.evals.run.page import page_of
from graders_engine.evals.wire import run_object
from tests.dataset.evals_service import EVALS, ITEMS, RUNS
from tests.evals.run.made import Bench, completions, jsonl, row, string_check
from tests.judges.judge_server import JudgeServer, error

SIMILAR: dict[str, Any] = {
    "type": "text_similarity",
    "name": "close",
    "id": "close-1",
    "evaluation_metric": "fuzzy_match",
    "pass_threshold": 0.6,
    "input": "{{sample.output_text}}",
    "reference": "{{item.label}}",
}


def text_of(page: str) -> str:
    """The words of a page, without its script and style."""
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def cells_of(page: str, kind: str) -> list[list[str]]:
    """The rows of one of its tables."""
    (table,) = re.findall(
        rf'<table role="table" class="stacked {kind}">.*?</table>', page, re.DOTALL
    )
    rows = re.findall(r"<tr role=\"row\">(.*?)</tr>", table, re.DOTALL)[1:]
    return [
        [text_of(cell) for cell in re.findall(r"<t[hd][^>]*>.*?</t[hd]>", one, re.DOTALL)]
        for one in rows
    ]


def test_status_counts_and_criteria_stand_before_the_rewards(bench: Bench) -> None:
    rows = [row("cat"), row("cat", "car"), row("emu", "x"), {"item": {"label": "emu"}}]
    done = bench.completed([string_check(), SIMILAR], jsonl(*rows))
    page = page_of(bench.store, done)
    assert cells_of(page, "criteria") == [
        ["match", "string_check", "1", "2", "33.3 %", "1"],
        ["close", "text_similarity", "2", "1", "66.7 %", "0.6"],
    ]
    text = text_of(page)
    order = (
        "a run",
        "completed",
        "33.3 %",
        "1 of 3",
        "1 passed",
        "2 failed",
        "1 errored",
        "4 in total",
    )
    places = [text.index(words, text.index("an eval")) for words in (*order, "mean score over")]
    assert places == sorted(places)


def test_the_page_of_a_failed_run_says_why_and_what_to_do(
    bench: Bench, server: JudgeServer
) -> None:
    server.script = lambda asked: error(404, "The model `asked-1` <does> not exist.")
    done = bench.finish(bench.run([string_check()], completions({"question": "?", "label": "?"})))
    page = page_of(bench.store, done)
    text = text_of(page)
    assert done.error is not None
    assert done.error["code"] in text
    assert "&lt;does&gt; not exist." in text
    assert "create another run" in text
    assert cells_of(page, "criteria") == [["match", "string_check", "0", "0", "-", "1"]]
    assert "<script" not in page
    assert "default-src 'none'" in page


@pytest.mark.parametrize(
    ("status", "words", "again"),
    [
        ("queued", "waits for its turn", True),
        ("in_progress", "in progress", True),
        ("canceled", "It was canceled", False),
    ],
)
def test_a_run_without_results_has_a_page(
    bench: Bench, status: str, words: str, again: bool
) -> None:
    run = replace(bench.run([string_check()], jsonl(row("a"))), status=status)
    page = page_of(bench.store, run)
    assert words in text_of(page)
    assert ('http-equiv="refresh"' in page) == again
    assert cells_of(page, "criteria") == [["match", "string_check", "-", "-", "-", "1"]]


def test_an_imported_run_lists_its_items_and_is_answered_as_it_was(
    bench: Bench, tmp_path: Path
) -> None:
    file = tmp_path / "export.jsonl"
    file.write_text("".join(f"{json.dumps(one)}\n" for one in [*EVALS, *RUNS, *ITEMS]))
    import_into(bench.store, "default", [file], (), now=1)
    run = bench.store.runs.find(RUNS[0]["id"])
    assert run is not None
    page = page_of(bench.store, run)
    thresholds = {cells[0]: cells[-1] for cells in cells_of(page, "criteria")}
    assert (thresholds["Match"], thresholds["Alike"], thresholds["min"]) == ("1", "0.8", "-")
    listed = cells_of(page, "items")
    assert len(listed) == sum(item["run_id"] == run.id for item in ITEMS)
    assert "Headline" in listed[0][2]
    assert run_object(run, "http://here/reports/1") == RUNS[0]


def test_the_page_says_what_rows_lack_and_has_one_headline(bench: Bench) -> None:
    rows = [row("cat") for _ in range(4)] + [row("emu", a="emu")]
    reads_a = string_check("reads a", reference="{{item.a}}")
    done = bench.completed(
        [string_check(), reads_a], jsonl(*rows, {"item": {"label": "x", "a": "x"}})
    )
    page = page_of(bench.store, done)
    text = text_of(page)
    assert "no sample, an item that lacks what a criterion reads, or an outage" in text
    assert "4 rows lack item.a" in text
    assert "1 row has no sample" in text
    assert page.count('class="mean"') == 1
    assert "Scores of the criteria" in text
    assert "As hosted" not in text
    assert "--group-by" not in text
