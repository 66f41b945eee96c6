"""Which part of a row is the item, and which rows need no model output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graders_engine import Engine
from graders_engine.dataset.rows.identity import item_of
from graders_engine.dataset.rows.read import open_data
from graders_engine.dataset.scoring.score import score_file
from graders_engine.errors import InvalidRequest
from tests.dataset.files import write_rows

CHECK: dict[str, Any] = {
    "type": "string_check",
    "operation": "eq",
    "input": "{{sample.output_text}}",
    "reference": "{{item.answer}}",
}
ITEM_ONLY: dict[str, Any] = {**CHECK, "input": "{{item.response}}"}
SAMPLE = {"output_text": "4"}
BESIDE: dict[str, dict[str, Any]] = {
    "text": {"answer": "4", "model_sample": "4"},
    "a sample": {"answer": "4", "sample": SAMPLE},
    "a sample in another form": {"answer": "4", "sample": {"text": "4"}},
    "texts": {"answer": "4", "samples": ["4", "4"]},
    "texts under another name": {"answer": "4", "model_samples": ["4"]},
    "a list of texts": {"answer": "4", "model_sample": ["4"]},
    "samples": {"answer": "4", "sample": [SAMPLE]},
    "a null item": {"item": None, "answer": "4", "model_sample": "4"},
    "a reference, too": {"answer": "4", "reference_answer": "5", "model_sample": "4"},
}


@pytest.mark.parametrize("row", BESIDE.values(), ids=BESIDE)
def test_what_stands_beside_the_sample_is_the_item(row: dict[str, Any], tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", [row])
    with Engine() as engine:
        assert {graded.reward for graded in engine.score(CHECK, [row])} == {1.0}
        tally = score_file(engine, CHECK, data, tmp_path / "out.jsonl", workers=1)
    assert (tally.scored, tally.rows) == (tally.rows, len(row.get("samples", [1])))
    data_set = open_data(data)
    refs = [ref for raw in data_set.records.read() for ref in data_set.shape.split(raw)]
    assert all(item_of(ref.row)["answer"] == "4" for ref in refs)


MISNAMED = ("items", "Item", "ITEM", "itme", "data", "row", "datasource_item")


@pytest.mark.parametrize("name", MISNAMED)
def test_an_item_under_another_name_is_refused_and_at_once_where_all_rows_have_it(
    name: str, tmp_path: Path
) -> None:
    row = {name: {"answer": "4"}, "model_sample": "4"}
    with Engine() as engine:
        (graded,) = engine.score(CHECK, [row])
    assert (graded.status, graded.blame) == ("invalid", "row")
    assert f"an object `{name}`. Did you mean `item`?" in graded.flags["other_error"]
    if name == "datasource_item":  # a row of the hosted evals
        return
    with pytest.raises(InvalidRequest, match="Did you mean `item`"):
        open_data(write_rows(tmp_path / "rows.jsonl", [row] * 3))
    mixed = [row, {"item": {"answer": "4"}, "model_sample": "4"}]
    with Engine() as engine:
        data = write_rows(tmp_path / "mixed.jsonl", mixed)
        tally = score_file(engine, CHECK, data, tmp_path / "out.jsonl", workers=1)
    assert (tally.scored, tally.invalid) == (1, 1)


def test_keys_that_only_look_like_an_item_are_parts_of_it() -> None:
    rows = [
        {"items": [1, 2], "answer": "4", "model_sample": "4"},
        {"data": {"x": 1}, "answer": "4", "model_sample": "4"},
        {"team": {"x": 1}, "answer": "4", "model_sample": "4"},
    ]
    with Engine() as engine:
        assert [row.reward for row in engine.score(CHECK, rows)] == [1.0] * 3


STORED = [
    {"query": "q", "response": "Oslo", "answer": "Oslo"},
    {"query": "q", "response": "Cusco", "answer": "Lima"},
]
READ = {
    "flat": STORED,
    "items": [{"item": row} for row in STORED],
    "hosted": [{"datasource_item": row, "sample": None} for row in STORED],
    "exported": [
        {"run_id": "r", "data_source_idx": 0, "item": row, "sample": {"outputs": []}, "grades": {}}
        for row in STORED
    ],
}


@pytest.mark.parametrize("rows", READ.values(), ids=READ)
def test_a_grader_that_reads_the_item_only_needs_no_sample(
    rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    with Engine() as engine:
        score_file(engine, ITEM_ONLY, write_rows(tmp_path / "rows.jsonl", rows), out, workers=1)
        found = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
        assert [line["reward"] for line in found] == [1.0, 0.0]
        assert [line["flags"] for line in found] == [{}, {}]
        if "datasource_item" not in rows[0]:
            graded = list(engine.score(ITEM_ONLY, rows))
            assert [(row.reward, row.flags) for row in graded] == [(1.0, {}), (0.0, {})]
        response = engine.run(ITEM_ONLY, item=STORED[0])
        assert (response.reward, response.flags) == (1.0, {})


def test_the_field_with_the_output_stays_in_the_item(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    both = {**CHECK, "input": "{{item.response}}{{sample.output_text}}", "reference": "OsloOslo"}
    data = write_rows(tmp_path / "rows.jsonl", STORED)
    with Engine() as engine:
        for grader in (ITEM_ONLY, both):
            score_file(
                engine, grader, data, out, sample_field="response", workers=1, overwrite=True
            )
            found = [json.loads(line)["reward"] for line in out.read_text("utf-8").splitlines()]
            assert found == [1.0, 0.0]
            graded = engine.score(grader, STORED, sample_field="response")
            assert [row.reward for row in graded] == [1.0, 0.0]


def test_items_are_compared_without_the_field_of_the_output(tmp_path: Path) -> None:
    rows = [{"prompt": "p", "out": "a"}, {"prompt": "p", "out": "b"}]
    data = write_rows(tmp_path / "rows.jsonl", rows)
    data_set = open_data(data, sample_field="out", group_by="item")
    refs = [ref for raw in data_set.records.read() for ref in data_set.shape.split(raw)]
    assert refs[0].group == refs[1].group


def reads_sample(*lines: str) -> bool:
    with Engine() as engine:
        return engine.compile({"type": "python", "source": "\n".join(lines)}).reads_sample


def test_whether_code_reads_the_sample_is_seen_in_its_source_or_assumed() -> None:
    unused = ("def grade(sample, item):", "    return float(item['x'])")
    assert not reads_sample(*unused)
    assert not reads_sample("import re", *unused)
    assert not reads_sample("from operator import eq as same", *unused)
    for source in (
        ("def grade(sample, item):", "    return len(sample['output_text'])"),
        ("def grade(s, item):", "    return (lambda: len(s))()"),
        ("def grade(sample, item):", "    return len(locals())"),
        ("def grade(*args):", "    return 1.0"),
        ("grade = lambda sample, item: 1.0",),
        ("import inspect", *unused),
        ("import functools", "@functools.cache", *unused),
        (*unused, "grade = print"),
        (*unused, *unused),
        (*unused, "from operator import eq as grade"),
        (*unused, "import operator as grade"),
        (*unused, "from math import *"),
        ("import gc", "def grade(sample, item):", "    return float(len(gc.get_objects()))"),
        ("from gc import get_objects", *unused),
        ("import importlib.util", *unused),
        ("def grade(sample, item):", "    return len(__builtins__['loc' + 'als']())"),
    ):
        assert reads_sample(*source), source


def test_a_multi_reads_the_sample_if_a_part_does() -> None:
    def multi(*parts: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "multi",
            "graders": {f"g{place}": part for place, part in enumerate(parts)},
            "calculate_output": "g0",
        }

    code = {"type": "python", "source": "def grade(sample, item):\n    return 1.0"}
    endpoint = {"type": "endpoint", "url": "https://example.org"}
    with Engine() as engine:
        assert not engine.compile(multi(ITEM_ONLY, code)).reads_sample
        assert engine.compile(multi(ITEM_ONLY, CHECK)).reads_sample
        assert engine.compile(multi(ITEM_ONLY, endpoint)).reads_sample


@pytest.mark.parametrize(
    "sample",
    [{"outputText": "4"}, {"x": 1}, {"choices": "4"}, {"choices": [{"message": {"text": "4"}}]}],
)
def test_a_run_whose_first_samples_are_all_of_an_unknown_form_is_not_begun(
    sample: dict[str, Any], tmp_path: Path
) -> None:
    rows = [{"item": {"answer": "4"}, "sample": sample}] * 3
    with pytest.raises(InvalidRequest, match="None of the first 3 rows can be read"):
        open_data(write_rows(tmp_path / "rows.jsonl", rows))
    items, outputs = tmp_path / "items.jsonl", tmp_path / "outputs.jsonl"
    write_rows(items, [{"answer": "4"}] * 3)
    with pytest.raises(InvalidRequest, match="None of the first 3 outputs can be read"):
        open_data(items, outputs=write_rows(outputs, [sample] * 3))
