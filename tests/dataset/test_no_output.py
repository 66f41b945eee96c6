"""Rows without an output are refused with what their author probably meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graders_engine.dataset.rows.read import open_data
from graders_engine.errors import DataSetError, InvalidRequest
from tests.dataset.test_documents import packed
from tests.dataset.test_formats import write

ASKED = {"role": "user", "content": "q"}
ANSWERED = {"role": "assistant", "content": "a"}


def refused(path: Path) -> str:
    with pytest.raises((InvalidRequest, DataSetError)) as error:
        open_data(path)
    return str(error.value)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("a, model_sample", "Take the blanks around names and values away."),
        ("a,Model Sample", "Did you mean `model_sample`, where they have `Model Sample`?"),
        ("a,modelsample", "Did you mean `model_sample`"),
        ("item.a,sample.output_text", "is the name of a field, and no path"),
    ],
)
def test_a_header_that_nearly_names_the_output_gets_a_suggestion(
    header: str, words: str, tmp_path: Path
) -> None:
    assert words in refused(write(tmp_path, "rows.csv", f"{header}\nx,x\n".encode()))


@pytest.mark.parametrize("header", ["a,model", "a,text", "item,b", "example,other"])
def test_other_headers_get_none(header: str, tmp_path: Path) -> None:
    message = refused(write(tmp_path, "rows.csv", f"{header}\nx,x\n".encode()))
    assert "--sample-field" in message
    assert "Did you mean" not in message
    assert "path" not in message


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"a": "x", "model_sample": None}, "no output: `model_sample` is null"),
        ({"a": "x", "sample": None}, "no output: `sample` is null"),
        ({"messages": [ASKED, ANSWERED]}, "pass --shape chat"),
    ],
)
def test_rows_whose_output_is_null_or_within_the_messages_say_so(
    row: Any, words: str, tmp_path: Path
) -> None:
    assert words in refused(write(tmp_path, "rows.jsonl", packed(row) + b"\n"))


def test_messages_that_end_in_a_question_have_no_output(tmp_path: Path) -> None:
    row = packed({"messages": [ASKED]})
    assert "--shape chat" not in refused(write(tmp_path, "rows.jsonl", row))


def test_what_is_no_data_set_says_what_to_do(tmp_path: Path) -> None:
    assert "--format" in refused(write(tmp_path, "rows.txt", b"alpha\n"))
    assert "save it with commas" in refused(write(tmp_path, "rows.tsv", b"a\tb\nx\ty\n"))
    assert "cat FILES" in refused(tmp_path)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_text_that_is_not_utf_8_says_how_to_save_it(name: str, tmp_path: Path) -> None:
    row = '{"a": "é", "model_sample": "x"}\n' if name == "rows.jsonl" else "a,model_sample\né,x\n"
    data = open_data(write(tmp_path, name, row.encode("latin-1")))
    assert "iconv -f ENCODING -t UTF-8" in next(data.records.read()).row.reason


def test_a_number_with_too_many_digits_is_named(tmp_path: Path) -> None:
    row = b'{"n": ' + b"1" * 5000 + b', "model_sample": "x"}\n'
    reason = next(open_data(write(tmp_path, "rows.jsonl", row)).records.read()).row.reason
    assert "has 5,000 digits" in reason
    assert "sys." not in reason
