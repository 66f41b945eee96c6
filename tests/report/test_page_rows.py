"""The rows that the HTML report holds, and its numbers: each row whole, and as many as fit."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from graders_engine.report.html.page import report_page
from tests.report.conftest import HOSTILE, LARGE_ROWS, Run, read
from tests.report.page_reader import Reader, rows_of, table_of


@pytest.fixture(scope="module")
def page(hostile: Run) -> str:
    return report_page(hostile.numbers, hostile.provenance, hostile.texts)


@pytest.fixture(scope="module")
def read_page(page: str) -> Reader:
    return Reader(page)


def test_what_the_page_counts_is_what_its_rows_say(tmp_path: Path) -> None:
    blames = ["sample", "grader", "row", "judge", "infrastructure"]
    results = tmp_path / "results.jsonl"
    with results.open("w", encoding="utf-8") as out:
        for line in range(1, 181):
            blame = blames[line // 3 % 5] if line % 3 == 0 else None
            failed = blame == "infrastructure"
            how: dict[str, Any]
            how = {"status": "scored", "reward": line % 18 / 16} if blame is None else {
                "status": "failed" if failed else "invalid", "reward": None, "blame": blame,
                "flags": {f"{blame}_error": "why"}}  # fmt: skip
            if blame is not None and not failed:
                how["served"] = 0.25 if blame == "grader" else 0.0
            value = None if blame == "sample" else line % 5 / 4
            row = {"line": line, "sub_rewards": {"part": value}, "flags": {}, "seconds": 0.0}
            out.write(json.dumps({**row, **how}) + "\n")
    run = read(results)
    page = report_page(run.numbers, run.provenance, run.texts)
    rows = rows_of(page)
    kinds = Counter(row["kind"] for row in rows)
    assert set(kinds) == {"scored", "sample", "grader", "row", "judge", "failed"}
    text = Reader(page).text()
    for kind, count in kinds.items():
        assert f"{count} {kind}" in text
    seen = [row["reward"] for row in rows if row["kind"] == "scored"]
    served = [row["served"] for row in rows if row["kind"] in ("sample", "grader")]
    assert f"{sum(seen + served) / len(seen + served):.4f}\nmean reward over" in text
    assert f"{len(seen + served)} rewards from 0 to 1.0625." in text
    bars = table_of(page, "Rows by reward")
    uncounted = {bar[""]: int(bar["Rows"]) for bar in bars if bar["of them invalid"] == "-"}
    assert uncounted == {kind: kinds[kind] for kind in ("row", "judge", "failed")}
    counted = [bar for bar in bars if bar[""] not in uncounted]
    assert sum(int(bar["Rows"]) for bar in counted) == len(seen + served)
    assert sum(int(bar["of them invalid"]) for bar in counted) == len(served)
    (part,) = table_of(page, "Sub-rewards")
    parts = [
        0.0 if value is None else value
        for row in rows
        for value in row["parts"]
        if value is not None or row["kind"] in ("sample", "grader")
    ]
    assert part["Mean"] == f"{sum(parts) / len(parts):.4f}"
    assert part["Rows"] == str(len(parts))


def test_tokens_that_were_not_spent_again_are_said_to_be_saved(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    tokens = {
        "prompt_tokens": 1000, "completion_tokens": 234, "total_tokens": 1234, "cached_tokens": 0,
    }  # fmt: skip
    row = {
        "line": 1,
        "reward": 1.0,
        "status": "scored",
        "sub_rewards": {},
        "flags": {},
        "seconds": 0,
    }
    results.write_text(json.dumps({**row, "saved": {"judge": tokens}}) + "\n", encoding="utf-8")
    run = read(results)
    text = Reader(report_page(run.numbers, run.provenance, run.texts)).text()
    assert "1,234 tokens were not spent again" in text


def test_every_row_of_a_small_run_is_on_the_page_with_all_that_is_known_of_it(
    hostile: Run, page: str, read_page: Reader
) -> None:
    rows = rows_of(page)
    assert len(rows) == hostile.numbers.digest.tally.rows == 2 * len(HOSTILE) + 1
    assert "All 21 rows of the run are in this file." in read_page.text()
    results = {str(result.line): result for result in hostile.numbers.digest.kept()}
    assert [row["name"] for row in rows] == [str(line) for line in range(1, 22)]
    for row in rows[:-1]:
        result, text = results[row["name"]], HOSTILE[(int(row["name"]) - 1) // 2]
        assert row["kind"] == (result.blame or "scored")
        assert (row["reward"], row["served"]) == (result.reward, result.counted)
        assert row["parts"] == list(result.sub_rewards.values())
        assert row["flags"] == result.flags
        assert row["sample"] == text
        assert text.partition("\n")[0] in row["item"]


def test_a_run_of_100_000_rows_is_a_page_of_a_few_megabytes_that_says_what_it_holds(
    large: Run,
) -> None:
    page = report_page(large.numbers, large.provenance, large.texts)
    assert len(page.encode()) < 5_500_000
    rows = rows_of(page)
    text = Reader(page).text()
    assert (
        f"{len(rows):,} of {LARGE_ROWS:,} samples are in this file, as many as fit in this order: "
        in text
    )
    assert len(rows) > 5000
    counts = Counter(row["prompt"] for row in rows)
    assert Counter(counts.values())[4] > 0.9 * len(counts)
    for heading in (
        "Rewards",
        "Sub-rewards",
        "Flags",
        "Prompts",
        "Judges",
        "Samples to read first",
    ):
        assert heading in text
    assert "pass@k" in text
    cost = sum(spent.cost or 0 for spent in large.numbers.spending)
    usage = large.numbers.spending[0].usage
    fresh = usage.prompt_tokens - usage.cached_tokens
    assert cost == pytest.approx(
        (0.25 * fresh + 0.025 * usage.cached_tokens + 2 * usage.completion_tokens) / 1e6
    )
    assert f"cost {cost:,.2f}" in text


def test_the_worst_texts_do_not_make_the_page_larger_than_its_budget(tmp_path: Path) -> None:
    """Every character is escaped to several, and there are more flags and parts than fit."""
    results = tmp_path / "results.jsonl"
    keys = [f"<&>{'&' * 50}{number}" for number in range(40)]
    flags = [f"flag_{number}_error" for number in range(15)]
    with results.open("w", encoding="utf-8") as out:
        for line in range(1, 2001):
            parts = dict.fromkeys(keys, line % 97 / 97)
            bad = {flags[line % 15]: "\x00<" * 500} if line % 2 else {}
            how = {"reward": None, "status": "invalid", "blame": "sample", "served": 0.0} if bad else {
                   "reward": line / 2000, "status": "scored"}  # fmt: skip
            rest = {"sub_rewards": parts, "flags": bad, "seconds": line / 1000}
            out.write(json.dumps({"line": line, **how, **rest}) + "\n")
    data = tmp_path / "rows.jsonl"
    row = json.dumps({"item": {"<": "\x00&" * 2000}, "model_sample": "\x1b<" * 2000})
    data.write_text(f"{row}\n" * 2000, encoding="utf-8")
    run = read(results, data)
    assert not run.texts.why_none
    page = report_page(run.numbers, run.provenance, run.texts)
    text = Reader(page).text()
    assert 4_000_000 < len(page.encode()) < 6_000_000
    assert f"{len(rows_of(page)):,} of 2,000 rows are in this file" in text
    assert "graders view results.jsonl shows all of them." in text
