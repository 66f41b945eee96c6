"""The rows of a CSV table are its cells by the names of the header."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.dataset.rows.csv_table import Table
from graders_engine.dataset.rows.formats import open_records
from graders_engine.dataset.rows.read import open_data
from tests.dataset.test_formats import csv_text, write


def test_a_csv_cell_may_be_longer_than_the_default_limit_of_the_csv_module(tmp_path: Path) -> None:
    path = write(tmp_path, "rows.csv", b"text\n" + b"x" * 200_000 + b"\n")
    assert [ref.row for ref in open_records(path).read()] == [{"text": "x" * 200_000}]


def test_csv_cells_are_text_under_the_names_of_the_header(tmp_path: Path) -> None:
    flat = [
        {"label": "a,b", "n": 1.50, "text": 'two\nlines "quoted"'},
        {"label": "", "n": "007", "text": "é"},
    ]
    path = write(tmp_path, "rows.csv", b"\xef\xbb\xbf" + csv_text(flat))
    rows = list(open_records(path).read())
    assert [(ref.line, ref.row) for ref in rows] == [
        (2, {"label": "a,b", "n": "1.5", "text": 'two\nlines "quoted"'}),
        (4, {"label": "", "n": "007", "text": "é"}),
    ]


def test_rows_of_empty_cells_at_the_end_are_left_out_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path, "rows.csv", b"a,b\n,\nx,\n,\r\n\n,\n")
    records = open_records(path)
    assert [(ref.line, getattr(ref.row, "reason", ref.row)) for ref in records.read()] == [
        (2, "The row has only empty cells."),
        (3, {"a": "x", "b": ""}),
    ]
    assert records.notes == [f"2 rows at the end of {path}, with empty cells alone, left out"]


def test_an_empty_cell_is_a_value_in_a_table_of_one_column(tmp_path: Path) -> None:
    records = open_records(write(tmp_path, "rows.csv", b'a\n""\n'))
    assert [ref.row for ref in records.read()] == [{"a": ""}]
    assert not records.notes


@pytest.mark.parametrize(
    ("table", "outputs", "noted"),
    [
        (b"a,model_sample\nx,NaN\ny,nan\nNaN,NAN\n", None, "in 2 rows of"),
        (b"id,answer\n1,NaN\n", None, ""),
        (b'id,a\n1,x\n2,NaN\n', b'id,note,output\n1,nan,NaN\n2,nan,x\n', "in 1 row of"),
    ],
)  # fmt: skip
def test_outputs_that_are_how_pandas_writes_a_missing_value_are_noted(
    table: bytes, outputs: bytes | None, noted: str, tmp_path: Path
) -> None:
    other = None if outputs is None else write(tmp_path, "outputs.csv", outputs)
    records = open_data(
        write(tmp_path, "rows.csv", table), outputs=other, outputs_needed=b"answer" not in table
    ).records
    assert all(isinstance(ref.row, dict) for ref in records.read())
    assert noted in " ".join(records.notes)
    assert len(records.notes) == bool(noted)


@given(
    st.lists(
        st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=6),
        min_size=1,
        max_size=5,
    )
)
def test_csv_rows_are_those_that_the_csv_module_wrote(cells: list[str]) -> None:
    sink = io.StringIO(newline="")
    table = csv.writer(sink)
    table.writerows([[f"f{n}" for n in range(len(cells))], cells])
    table_read = Table(io.BytesIO(sink.getvalue().encode()))
    fields = table_read.header("t.csv")
    expected = (
        []
        if not any(cells) and (len(cells) > 1 or sink.getvalue().endswith("\r\n\r\n"))
        else [dict(zip(fields, cells, strict=True))]
    )
    assert [row for _, row in table_read.rows(fields)] == expected
