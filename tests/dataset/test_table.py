"""Results as a Parquet file have every field of the lines that they are made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from graders_engine import DataSetError, Engine
from graders_engine.dataset.results import table
from graders_engine.dataset.results.line import ResultLine, encode_results, results_in
from graders_engine.dataset.results.table import write_table
from graders_engine.dataset.scoring.score import score_file
from graders_engine.outcome import Usage
from tests.dataset.files import cats, write_rows

parquet: Any = pytest.importorskip("pyarrow.parquet")

FULL = ResultLine(
    7,
    None,
    "failed",
    {"a": 0.5, "b c": None},
    {"other_error": "b\ud800roken"},
    0.25,
    "infrastructure",
    0.125,
    2,
    "g",
    {"judge": Usage(1, 2, 3, 4)},
    {"a": [0.0, 1.0]},
    {"b c": ["yes", "no"]},
    {"judge": Usage(5, 6, 7, 8)},
)


def test_every_field_is_a_column_with_its_type(tmp_path: Path) -> None:
    lines, out = tmp_path / "lines.jsonl", tmp_path / "out.parquet"
    plain = ResultLine(8, 1.0, "scored", {"a": 1.0, "b c": 1.0}, {}, 0.5)
    lines.write_bytes(encode_results([FULL, plain]))
    write_table(lines, out, ("a", "b c"))
    read = parquet.read_table(out)
    assert read.column_names == list(ResultLine.__struct_fields__)
    for row, result in zip(
        read.to_pylist(maps_as_pydicts="strict"), results_in(lines), strict=True
    ):
        assert row == msgspec.to_builtins(msgspec.structs.asdict(result[1]))
    types = {field.name: str(field.type) for field in read.schema}
    assert types["reward"] == "double"
    assert types["line"] == "int64"
    assert types["flags"].startswith("map<string, string")


def test_a_run_can_write_one_and_goes_on_from_the_lines_beside_it(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "GROUP_ROWS", 7)
    data, out = write_rows(tmp_path / "rows.jsonl", cats(30)), tmp_path / "out.parquet"
    first = score_file(engine, string_check, data, out)
    beside = tmp_path / "out.parquet.jsonl"
    rewards = [json.loads(line)["reward"] for line in beside.read_text().splitlines()]
    assert parquet.read_table(out)["reward"].to_pylist() == rewards
    assert parquet.ParquetFile(out).num_row_groups == 5
    out.unlink()
    assert score_file(engine, string_check, data, out) == first
    assert parquet.read_table(out).num_rows == 30
    assert not list(tmp_path.glob("*.tmp"))


def test_no_rows_are_a_table_without_rows(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path
) -> None:
    data, out = write_rows(tmp_path / "rows.jsonl", []), tmp_path / "out.parquet"
    score_file(engine, string_check, data, out)
    assert parquet.read_table(out).num_rows == 0


def test_a_table_that_cannot_be_written_is_a_sentence_with_the_place_of_the_results(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path
) -> None:
    data, out = write_rows(tmp_path / "rows.jsonl", cats(3)), tmp_path / "out.parquet"

    def put_a_folder_in_its_place(*_: object) -> None:
        out.mkdir(exist_ok=True)

    with pytest.raises(DataSetError, match=r"cannot be written: .*The results are in .*\.jsonl"):
        score_file(engine, string_check, data, out, on_progress=put_a_folder_in_its_place)
