"""Files as they come: each fault is a sentence at its line, and the good rows are scored all the same.

A case is a file's bytes and, by line, what is wrong there; every other row must be scored with 1.0.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graders_engine import DataSetError, Engine
from graders_engine.dataset.rows import csv_table, json_array, lines
from graders_engine.dataset.scoring.score import score_file
from tests.dataset.malformed_cases import CASES, EMPTY, GOOD, LAST, LONGEST, REFUSED


@pytest.fixture(autouse=True)
def rows_are_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (lines, json_array, csv_table):
        monkeypatch.setattr(module, "MAX_ROW_BYTES", LONGEST)


@pytest.fixture
def results(engine: Engine, string_check: dict[str, Any], tmp_path: Path) -> Any:
    def score(name: str, content: bytes) -> list[dict[str, Any]]:
        data, out = tmp_path / name, tmp_path / "results.jsonl"
        data.write_bytes(content)
        field = "model_sample" if name.endswith("csv") else None
        score_file(engine, string_check, data, out, sample_field=field, workers=1)
        return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]

    return score


def test_the_cases_are_a_hundred_at_least() -> None:
    assert len(CASES) + len(REFUSED) + len(EMPTY) >= 100


@pytest.mark.parametrize("what", CASES)
def test_each_fault_is_a_sentence_at_its_line_and_the_good_rows_are_scored(
    what: str, results: Any
) -> None:
    name, content, sentences = CASES[what]
    found = results(name, content)
    sentences = {
        found[-1]["line"] if line == LAST else line: words for line, words in sentences.items()
    }
    assert {line["line"] for line in found if line["status"] != "scored"} == set(sentences)
    for line in found:
        if line["status"] == "scored":
            assert line["reward"] == 1.0
            continue
        (said,) = line["flags"].values()
        assert line["status"] == ("failed" if "an error: boom" in said else "invalid")
        assert sentences[line["line"]] in said
        assert said[0] in "`ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert any(line["status"] == "scored" for line in found) or not good_rows(what)


def good_rows(what: str) -> bool:
    name, content, _ = CASES[what]
    return not name.endswith(("gz", "zst")) and (
        GOOD in content.split(b"\n") or b"a,a\n" in content
    )


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_that_is_no_data_set_at_all_is_refused_in_one_sentence(
    what: str, results: Any
) -> None:
    name, content, words = REFUSED[what]
    with pytest.raises(DataSetError) as refused:
        results(name, content)
    assert words in str(refused.value)


@pytest.mark.parametrize("what", EMPTY)
def test_a_file_without_rows_has_no_results(what: str, results: Any) -> None:
    assert results("rows.jsonl", EMPTY[what]) == []
