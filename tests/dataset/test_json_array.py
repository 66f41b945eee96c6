"""The rows of a JSON array are its elements, whatever they hold and however long they are."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows import json_array
from graders_engine.dataset.rows.formats import open_records
from tests.dataset.test_formats import write


@pytest.mark.parametrize(
    "element", [b'"' + b"x" * 12_000_000 + b'"', b"[" + b"1234567890, " * 1_000_000 + b"1]"]
)
def test_an_element_that_is_too_long_is_not_held(
    element: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_array, "MAX_ROW_BYTES", 1 << 20)
    path = write(tmp_path, "rows.json", b"[1, " + element + b", 3]")
    tracemalloc.start()
    try:
        rows = [ref.row for ref in open_records(path).read()]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rows == [1, Unreadable("The element is longer than 1048576 bytes."), 3]
    assert peak < 8 << 20


@pytest.mark.parametrize("filler", ['"', "[", "{}", "1, 2, ", '"\\"" '])
@pytest.mark.parametrize("name", ["rows.json", "rows.json.gz"])
def test_an_element_that_is_too_long_does_not_hide_the_next(
    name: str, filler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_array, "MAX_ROW_BYTES", 1000)
    monkeypatch.setattr(json_array, "_CHUNK_BYTES", 100)
    long = json.dumps([filler * 600])
    content = f"[1, {long}, 3, [{long}, {long}], 5]".encode()
    path = write(tmp_path, name, gzip.compress(content) if name.endswith("gz") else content)
    rows = [ref.row for ref in open_records(path).read()]
    too_long = Unreadable("The element is longer than 1000 bytes.")
    assert rows == [1, too_long if len(long) > 1000 else [filler * 600], 3, too_long, 5]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(
    st.lists(VALUES, max_size=12),
    st.sampled_from([None, 1, "\t"]),
    st.integers(1, 40),
    st.booleans(),
)
def test_the_elements_of_an_array_are_those_that_json_reads(
    values: list[Any], indent: Any, chunk: int, ascii_only: bool
) -> None:
    content = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode(
        "utf-8", "surrogatepass"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_array, "_CHUNK_BYTES", chunk)
        elements = list(json_array.elements(io.BytesIO(content)))
    assert [json.loads(element) for element in elements if isinstance(element, bytes)] == values


@given(st.binary(max_size=300))
def test_no_bytes_break_an_array_and_each_of_them_ends(content: bytes) -> None:
    for element in json_array.elements(io.BytesIO(b"[" + content)):
        assert isinstance(element, (bytes, Unreadable))
