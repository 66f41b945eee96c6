"""Files that hold their rows in another way are refused before a row is graded, with what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graders_engine.dataset.rows.formats import open_records
from graders_engine.dataset.rows.read import open_data
from graders_engine.errors import DataSetError, InvalidRequest
from tests.dataset.test_formats import write

ROW = {"a": "x", "model_sample": "x"}
LINES = b"".join(json.dumps(ROW).encode() + b"\n" for _ in range(3))
COLUMNS = {"a": ["x", "y"], "model_sample": ["x", "z"]}
EVAL = {"version": 3, "results": {"results": [{"vars": {}, "response": {"output": "x"}}] * 2}}
LOG = {"status": "success", "samples": [{"id": 1, "target": "x", "output": {"choices": []}}] * 2}


def packed(value: Any, indent: int | None = None) -> bytes:
    return json.dumps(value, indent=indent).encode()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("r.jsonl", packed(ROW, 2) + b"\n" + packed(ROW, 2), "jq -c . r.jsonl > rows.jsonl"),
        ("r.json", packed(ROW, 2), "jq -c . r.json > rows.jsonl"),
        ("r.jsonl", LINES.replace(b"}\n", b"},\n"), "end in commas"),
        ("r.jsonl", packed([ROW, ROW]) + b"\n", "a JSON array on one line: pass --format json"),
        ("r.json", packed({"data": [ROW, ROW]}), "jq -c '.data[]' r.json > rows.jsonl"),
        ("r.jsonl", packed({"object": "list", "data": [ROW, ROW]}, 1), "with rows under `data`"),
        ("r.json", packed(EVAL), "with rows under `results.results`"),
        ("r.json", packed(EVAL, 2), "with rows under `results.results`"),
        ("r.json", packed(LOG), "with rows under `samples`"),
        ("r.json", packed(COLUMNS), "2 values under each of a, model_sample: a table by columns"),
    ],
)
def test_a_file_with_rows_in_another_way_says_how_to_write_them(
    name: str, content: bytes, words: str, tmp_path: Path
) -> None:
    with pytest.raises((DataSetError, InvalidRequest)) as refused:
        open_data(write(tmp_path, name, content))
    assert words in str(refused.value)


def test_rows_on_lines_are_no_json_array(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match="the format is jsonl"):
        open_data(write(tmp_path, "r.jsonl", LINES), form="json")


def test_a_table_by_columns_is_refused_with_a_field_that_is_named_too(tmp_path: Path) -> None:
    path = write(tmp_path, "r.json", packed({"a": ["x", "y"], "out": ["x", "z"]}))
    with pytest.raises(InvalidRequest, match="a table by columns"):
        open_data(path, sample_field="out")


@pytest.mark.parametrize(
    "rows",
    [
        [{"item": {"a": ["x", "y"]}, "samples": ["x", "y"]}],
        [{"a": "x", "samples": ["x", "y"]}],
        [{"a": ["x"], "samples": ["x", "y"]}],
        [COLUMNS, COLUMNS],
        [{"data": [{"b": 1}], "model_sample": "x"}],
    ],
)
def test_a_row_with_lists_is_a_row(rows: list[Any], tmp_path: Path) -> None:
    data = open_data(write(tmp_path, "r.jsonl", b"".join(packed(row) + b"\n" for row in rows)))
    assert [ref.row for ref in data.records.read()] == rows


def test_outputs_that_are_wrapped_say_so(tmp_path: Path) -> None:
    rows = write(tmp_path, "rows.jsonl", LINES)
    outputs = write(tmp_path, "o.json", packed({"data": [{"text": "x"}] * 3}))
    with pytest.raises(InvalidRequest, match=r"o\.json is one object, with rows under `data`"):
        open_data(rows, outputs=outputs)


TABLE = b'q,gold,answer\na,1,"one, or 1"\n'


def test_a_csv_table_named_as_jsonl_is_said_to_be_one(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(TABLE)
    with pytest.raises(DataSetError, match="a CSV table with the header q, gold, answer: name it"):
        open_records(path)
    assert open_records(path, "csv").head() == [{"q": "a", "gold": "1", "answer": "one, or 1"}]


@pytest.mark.parametrize(
    "content",
    [
        b'broken, but then\n{"item": {"a": 1, "b": 2}}\n',
        b'{"item": {"a": 1,\n{"item": {"a": 1,\n',
        b'"a", "b"\n"c", "d"\n',
        b"one line, alone\n",
        b"not, a table\nthis, is, none\n",
        b'a cell,"of two\nlines",more\n1,2,3\n',
        b"a," + 200_000 * b"b" + b"\n1,2\n",
    ],
)
def test_broken_lines_are_no_table(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(content)
    assert open_records(path).form == "jsonl"
