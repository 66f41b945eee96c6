"""Every form of a data set gives the same rows, as a stream, from wherever it is told to begin."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import math
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows import lines, source
from graders_engine.dataset.rows.formats import open_records
from graders_engine.dataset.rows.records import RowRef
from graders_engine.dataset.rows.shards import cut
from graders_engine.errors import DataSetError, InvalidRequest
from tests.dataset.files import rows_of

ROWS = [
    {
        "item": {"label": f"cat{n}", "text": 'a "quoted" \\ [bracket], {brace}\n'},
        "model_sample": f"cat{n % 3}",
    }
    for n in range(3000)
]


def jsonl(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(rows: list[Any], group: int = 700) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=group)
    return sink.getvalue()


def csv_text(rows: list[Any]) -> bytes:
    sink = io.StringIO(newline="")
    table = csv.writer(sink)
    table.writerow(rows[0])
    table.writerows(row.values() for row in rows)
    return sink.getvalue().encode()


FORMS: dict[str, Callable[[list[Any]], bytes]] = {
    "rows.jsonl": jsonl,
    "rows.ndjson": jsonl,
    "rows.jsonl.gz": lambda rows: gzip.compress(jsonl(rows)),
    "rows.jsonl.zst": lambda rows: zstandard.compress(jsonl(rows)),
    "rows.json": lambda rows: json.dumps(rows, indent=1).encode(),
    "one-line.json": lambda rows: json.dumps(rows).encode(),
    "lines.json": jsonl,
    "rows.json.gz": lambda rows: gzip.compress(json.dumps(rows).encode()),
    "rows.parquet": parquet,
    "array.jsonl": lambda rows: json.dumps(rows, indent=1).encode(),
    "misnamed.jsonl": lambda rows: gzip.compress(jsonl(rows)),
    "nameless": jsonl,
    "two-frames.jsonl.zst": lambda rows: (
        zstandard.compress(jsonl(rows[:10])) + zstandard.compress(jsonl(rows[10:]))
    ),
    "two-members.jsonl.gz": lambda rows: (
        gzip.compress(jsonl(rows[:10])) + gzip.compress(jsonl(rows[10:]))
    ),
}


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_rows(name: str, tmp_path: Path) -> None:
    records = open_records(write(tmp_path, name, FORMS[name](ROWS)))
    read = list(records.read())
    assert [ref.row for ref in read] == ROWS
    assert [ref.line for ref in read] == list(range(1, len(ROWS) + 1))
    assert records.head(3) == ROWS[:3]
    positions = [ref.end for ref in read]
    assert positions == sorted(positions)
    assert positions[-1] == records.size


@pytest.mark.parametrize("name", FORMS)
def test_reading_goes_on_behind_any_line(name: str, tmp_path: Path) -> None:
    records = open_records(write(tmp_path, name, FORMS[name](ROWS)))
    for line in (1, 699, 700, 701, len(ROWS) - 1, len(ROWS), len(ROWS) + 5):
        shards = cut(records)
        shards.until(line)
        assert [ref.line for shard in shards.rest() for ref in rows_of(shard)] == list(
            range(line + 1, len(ROWS) + 1)
        )


@pytest.mark.parametrize(
    ("name", "form", "splittable"),
    [
        ("rows.jsonl", "jsonl", True),
        ("rows.jsonl.gz", "jsonl.gz", False),
        ("rows.jsonl.zst", "jsonl.zst", False),
        ("rows.json", "json", False),
        ("rows.parquet", "parquet", False),
        ("misnamed.jsonl", "jsonl.gz", False),
    ],
)
def test_the_form_is_told(name: str, form: str, splittable: bool, tmp_path: Path) -> None:
    records = open_records(write(tmp_path, name, FORMS[name](ROWS)))
    assert (records.form, records.splittable) == (form, splittable)


@pytest.mark.parametrize(
    "name", ["rows.jsonl", "rows.jsonl.gz", "rows.jsonl.zst", "rows.json", "one-line.json"]
)
def test_standard_input_is_read_once_and_its_first_rows_are_not_lost(name: str) -> None:
    program = (
        "from graders_engine.dataset.rows.formats import open_records\n"
        "from graders_engine.errors import DataSetError\n"
        "records = open_records('-')\n"
        "head, rows = records.head(3), list(records.read())[1:]\n"
        "try:\n    list(records.read())\n"
        "except DataSetError as error:\n    again = str(error)\n"
        "import json, sys\n"
        "json.dump([records.size, records.splittable, head, [ref.row for ref in rows], again], sys.stdout)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        input=FORMS[name](ROWS),
        capture_output=True,
        check=True,
        timeout=60,
    )
    size, splittable, head, rows, again = json.loads(run.stdout)
    assert (size, splittable, head, rows) == (None, False, ROWS[:3], ROWS[1:])
    assert "can be read once" in again


def test_parquet_values_that_json_does_not_know_are_text(tmp_path: Path) -> None:
    table = pa.table(
        {
            "when": pa.array([0], pa.timestamp("s")),
            "price": pa.array(["1.10"]).cast(pa.decimal128(5, 2)),
            "raw": pa.array([b"abc"]),
            "item": pa.array([{"a": [1, None]}]),
        }
    )
    path = tmp_path / "rows.parquet"
    pq.write_table(table, path)
    (row,) = [ref.row for ref in open_records(path).read()]
    assert row == {
        "when": "1970-01-01T00:00:00",
        "price": "1.10",
        "raw": "abc",
        "item": {"a": [1, None]},
    }


def test_bytes_in_parquet_are_text_or_an_image_or_make_their_row_unreadable(tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary())])
    image = b"\x89PNG\r\n"
    values = [{"bytes": value} for value in ("é".encode(), image, b"a\xff", None)]
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"x": pa.array(values, kind)}), path)
    text, encoded, other, none = (ref.row for ref in open_records(path).read())
    assert text == {"x": {"bytes": "é"}}
    assert encoded == {"x": {"bytes": base64.b64encode(image).decode()}}
    assert "The column `x` has bytes that are not UTF-8 text: 0xff at byte 1." in other.reason
    assert none == {"x": {"bytes": None}}


def test_nan_in_parquet_is_null_and_an_infinite_number_makes_its_row_unreadable(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(parquet([{"x": [{"y": value}]} for value in (1.5, math.nan, -math.inf, None)]))
    number, nan, infinite, null = (ref.row for ref in open_records(path).read())
    assert (number, nan, null) == ({"x": [{"y": 1.5}]}, {"x": [{"y": None}]}, {"x": [{"y": None}]})
    assert "JSON cannot express: Infinity" in infinite.reason


def test_a_form_can_be_named_where_the_name_says_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, "rows.data", b"label,text\na,b\n")
    with pytest.raises(DataSetError, match="with --format"):
        open_records(path)
    assert [ref.row for ref in open_records(path, "csv").read()] == [{"label": "a", "text": "b"}]
    with pytest.raises(InvalidRequest, match="There is no format 'xml'"):
        open_records(path, "xml")


def test_of_a_key_that_stands_twice_the_last_value_counts(tmp_path: Path) -> None:
    text = b'{"a": 1, "a": 2}'
    for name in ("twice.jsonl", "twice.json"):
        path = write(tmp_path, name, text if name.endswith("l") else b"[" + text + b"]")
        assert [ref.row for ref in open_records(path).read()] == [{"a": 2}]


def test_a_missing_package_is_a_sentence_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = write(tmp_path, "rows.jsonl.zst", FORMS["rows.jsonl.zst"](ROWS))
    table = write(tmp_path, "rows.parquet", FORMS["rows.parquet"](ROWS))
    for module in ("zstandard", "pyarrow"):
        monkeypatch.setitem(sys.modules, module, None)
    for path in (packed, table):
        with pytest.raises(DataSetError, match=r"pip install '\.\[files\]'"):
            list(open_records(path).read())


def test_a_line_that_is_too_long_is_not_held(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as file:
        file.write(b'{"n": 1}\n{"text": "')
        for _ in range(300):
            file.write(b"x" * (1 << 20))
        file.write(b'"}\n{"n": 3}\n')
    tracemalloc.start()
    try:
        rows = list(open_records(path).read())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rows == [
        RowRef(1, {"n": 1}, 9),
        RowRef(2, Unreadable("The line is longer than 67108864 bytes."), path.stat().st_size - 9),
        RowRef(3, {"n": 3}, path.stat().st_size),
    ]
    assert peak < 160 << 20


@pytest.mark.parametrize("name", ["rows.jsonl.gz", "rows.jsonl.zst", "rows.json.gz", "rows.csv.gz"])
def test_the_row_behind_the_last_whole_one_says_that_the_file_is_cut_off(
    name: str, tmp_path: Path
) -> None:
    content = {"j": json.dumps(ROWS).encode(), "c": b"n\n" + b"1\n" * 3000, "l": jsonl(ROWS)}
    text = content["j" if ".json." in name else "c" if ".csv" in name else "l"]
    packed = zstandard.compress(text) + b"\0" if name.endswith("zst") else gzip.compress(text)[:-1]
    records = open_records(write(tmp_path, name, packed))
    read = list(records.read())
    numbers = [ref.line for ref in read]
    assert numbers == list(range(numbers[0], numbers[0] + 3001))
    assert "cut off or damaged" in read[-1].row.reason
    for last, rest in ((numbers[-2], [numbers[-1]]), (numbers[-1], [])):
        shards = cut(records)
        shards.until(last)
        assert [ref.line for shard in shards.rest() for ref in rows_of(shard)] == rest


def incompressible(count: int) -> list[Any]:
    randbytes = random.Random(0).randbytes  # noqa: S311 - no secret
    return [{"label": f"cat{n}", "text": randbytes(1000).hex()} for n in range(count)]


@pytest.mark.parametrize(
    "name", ["rows.jsonl", "rows.jsonl.gz", "rows.jsonl.zst", "rows.json", "rows.csv"]
)
def test_memory_does_not_grow_with_the_data(name: str, tmp_path: Path) -> None:
    rows = incompressible(10_000)
    content = csv_text(rows) if name == "rows.csv" else FORMS[name](rows)
    records = open_records(write(tmp_path, name, content))
    tracemalloc.start()
    try:
        assert sum(1 for _ in records.read()) == 10_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 << 20 < len(rows) * 2000


def test_the_memory_for_parquet_does_not_grow_with_a_row_group(tmp_path: Path) -> None:
    rows = incompressible(40_000)
    path = write(tmp_path, "rows.parquet", parquet(rows, group=len(rows)))
    program = (
        "import pyarrow, sys\n"
        "from graders_engine.dataset.rows.formats import open_records\n"
        "rows = sum(1 for _ in open_records(sys.argv[1]).read())\n"
        "print(rows, pyarrow.default_memory_pool().max_memory())"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, check=True, timeout=60
    )
    count, most = map(int, run.stdout.split())
    assert count == len(rows)
    assert most < 50 << 20 < len(rows) * 2000


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_lines_are_numbered_and_placed_by_their_bytes(parts: list[bytes]) -> None:
    content = b"\n".join(parts)
    stream = io.BytesIO(content)
    starts = [0, *(at + 1 for at, byte in enumerate(content) if byte == 10), len(content)]
    for ref in lines.rows_of(stream):
        assert ref.end == min(starts[ref.line], len(content))


def test_zstd_is_unpacked_in_small_steps() -> None:
    bomb = zstandard.compress(b"\0" * (64 << 20))
    stream = source.ZstdReader(io.BytesIO(bomb), zstandard)
    assert sum(len(part) for part in iter(lambda: stream.read(1 << 20), b"")) == 64 << 20
