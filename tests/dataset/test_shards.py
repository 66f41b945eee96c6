"""A data set in shards is the same data set, however it is cut, sent or split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.compiled import Unreadable
from graders_engine.dataset.rows import shards as sizes
from graders_engine.dataset.rows.formats import open_records
from graders_engine.dataset.rows.json_array import JsonArray
from graders_engine.dataset.rows.records import RowRef
from graders_engine.dataset.rows.shards import Shard, cut
from tests.dataset.files import rows_of

LINES = st.one_of(
    st.just(b""),
    st.just(b"  \r"),
    st.just(b'{"a": 1}'),
    st.just(b'{"text": "' + b"x" * 90 + b'"}'),
    st.just(b"{broken"),
    st.just(b'"\xff"'),
    st.just(b'"\\ud800"'),
    st.just(b'!"no reason"'),
    st.just(b"123456789012345678901234567890"),
    st.just(b'{"a": NaN}'),
)
FILES = st.builds(
    lambda lines, end, mark: mark + b"\n".join(lines) + end,
    st.lists(LINES, min_size=1, max_size=25),
    st.sampled_from([b"", b"\n", b"\n\n"]),
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
)
Rows = list[tuple[int, Any]]

pytestmark = pytest.mark.usefixtures("small")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "FIRST_SHARD_BYTES", 16)
    monkeypatch.setattr(sizes, "SHARD_BYTES", 64)
    monkeypatch.setattr(sizes, "READ_BYTES", 32)


def write(folder: Path, content: bytes) -> Path:
    path = folder / "rows.jsonl"
    path.write_bytes(content)
    return path


def whole(path: Path) -> Rows:
    return [(ref.line, ref.row) for ref in open_records(path, "jsonl").read()]


def rows_in(shards: list[Shard]) -> Rows:
    return [(ref.line, ref.row) for shard in shards for ref in rows_of(shard)]


def halved(shard: Shard) -> list[Shard]:
    return [shard] if shard.lines == 1 else [s for half in shard.halves() for s in halved(half)]


def by_value(path: Path) -> list[Shard]:
    records = open_records(path, "jsonl")
    records.splittable = False
    return list(cut(records).rest())


@given(FILES)
def test_shards_hold_every_row_with_its_line_in_its_order(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, content)
    shards = list(cut(open_records(path, "jsonl")).rest())
    assert rows_in(shards) == whole(path)
    assert [shard.start for shard in shards] == [0, *(shard.end for shard in shards)][:-1]
    assert sum(shard.end - shard.start for shard in shards) == len(content)
    lines = [line for shard in shards for line in range(shard.first_line, shard.last_line + 1)]
    assert lines == list(range(1, len(lines) + 1))


@given(FILES)
def test_rows_that_are_sent_along_are_the_same(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, content)
    carried = [shard.with_rows() for shard in cut(open_records(path, "jsonl")).rest()]
    sent = by_value(path)
    path.rename(tmp_path / "moved")
    assert not any(shard.path for shard in (*carried, *sent))
    expected = whole(tmp_path / "moved")
    assert rows_in(carried) == expected
    assert rows_in(sent) == expected


@given(FILES, st.booleans())
def test_halves_of_halves_are_the_lines_one_by_one(
    tmp_path: Path, content: bytes, send: bool
) -> None:
    path = write(tmp_path, content)
    shards = by_value(path) if send else list(cut(open_records(path, "jsonl")).rest())
    single = [one for shard in shards for one in halved(shard)]
    assert all(one.lines == 1 for one in single)
    assert rows_in(single) == whole(path)


@given(FILES, st.data())
def test_what_was_passed_over_is_known_again_by_its_bytes(
    tmp_path: Path, content: bytes, data: st.DataObject
) -> None:
    path = write(tmp_path, content)
    shards = list(cut(open_records(path, "jsonl")).rest())
    records = open_records(path, "jsonl")
    records.splittable = data.draw(st.booleans())
    if not records.splittable:
        shards = by_value(path)
    if not shards:
        return
    stop = data.draw(st.integers(0, len(shards) - 1))
    again = cut(records)
    for shard in shards[: stop + 1]:
        passed = again.until(shard.last_line)
        assert passed is not None
        assert passed.digest() == shard.digest()
        assert (passed.first_line, passed.last_line, passed.end) == (
            shard.first_line, shard.last_line, shard.end,
        )  # fmt: skip
    assert rows_in(list(again.rest())) == rows_in(shards[stop + 1 :])


@pytest.mark.parametrize("splittable", [True, False])
def test_there_is_nothing_behind_the_end(tmp_path: Path, splittable: bool) -> None:
    records = open_records(write(tmp_path, b'{"a": 1}\n{"a": 2}'), "jsonl")
    records.splittable = splittable
    shards = cut(records)
    last = shards.until(2)
    assert last is not None
    assert (last.first_line, last.lines) == (1, 2)
    assert shards.until(3) is None
    assert list(shards.rest()) == []


def test_a_changed_byte_changes_the_digest(tmp_path: Path) -> None:
    def digests(content: bytes) -> list[str]:
        path = write(tmp_path, content)
        return [shard.digest() for shard in (*cut(open_records(path)).rest(), *by_value(path))]

    before, after = digests(b'{"a": 1}\n'), digests(b'{"a": 2}\n')
    assert len(before) == 2
    assert not set(before) & set(after)


def test_a_file_that_gets_more_lines_meanwhile_gives_no_line_twice(tmp_path: Path) -> None:
    path = write(tmp_path, b'{"a": 1}\n' * 20)
    shards = list(cut(open_records(path)).rest())
    path.write_bytes(b"1\n2\n3\n456\n" * 18)
    assert len(shards) > 1
    lines = [line for line, _ in rows_in(shards)]
    assert len(set(lines)) == len(lines)


def test_a_long_line_is_one_shard_whose_bytes_are_not_held_to_cut_it(tmp_path: Path) -> None:
    path = write(tmp_path, b'{"a": 1}\n' + b'"' + b"x" * 10_000 + b'"\n{"a": 2}\n')
    shards = list(cut(open_records(path)).rest())
    assert [(shard.lines, shard.end - shard.start) for shard in shards] == [(2, 10_012), (1, 9)]
    assert all(not shard.rows for shard in shards)


def test_a_value_that_json_has_no_word_for_is_sent_as_far_as_it_can_be(tmp_path: Path) -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]

    class Given(JsonArray):
        def __init__(self) -> None:
            self.path, self.size = tmp_path, None

        def rows(self) -> Any:
            yield RowRef(1, {"big": 2**70}, 1)
            yield RowRef(2, {"none": float("nan")}, 1)
            yield RowRef(3, Unreadable("damaged"), 2)
            yield RowRef(4, deep, 3)

    (rows,) = [rows_in(list(cut(Given()).rest()))]
    assert (rows[0], rows[2]) == ((1, {"big": 2**70}), (3, Unreadable("damaged")))
    assert (rows[1][0], rows[3][0]) == (2, 4)
    assert "it holds NaN or Infinity" in rows[1][1].reason
    assert "no JSON form" in rows[3][1].reason
    while isinstance(deep, list) and deep:  # taken apart slowly: freeing it at once recurses
        deep = deep.pop()
    assert json.dumps(deep) == "1"
