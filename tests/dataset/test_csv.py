"""The rows of a CSV table are its cells by the names of the header."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from graders_engine.dataset.rows.csv_table import Table
from graders_engine.dataset.rows.formats import open_records
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
        if cells == [""] and sink.getvalue().endswith("\r\n\r\n")
        else [dict(zip(fields, cells, strict=True))]
    )
    assert [row for _, row in table_read.rows(fields)] == expected
