"""The numbers of an open run are those of its report, and stay so however the file and the cache change."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from time import sleep
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from graders_engine.dataset.results.columns import RunColumns
from graders_engine.dataset.results.digest import digest
from graders_engine.dataset.results.line import ResultLine, encode_results
from graders_engine.dataset.results.meta import read_meta
from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.report.histogram import BARS, counts_of, histogram
from graders_engine.report.numbers import numbers_of
from graders_engine.report.provenance import Provenance
from graders_engine.report.row_texts import RowKey
from graders_engine.report.run_json import numbers_json
from graders_engine.view import cache, reading
from graders_engine.view.access import kept_key
from graders_engine.view.loading.builder import bars_of, read_results
from graders_engine.view.opened import OpenRun
from graders_engine.view.query import parse_query
from graders_engine.view.reading import headline, read
from graders_engine.view.summary import Summary
from tests.view.runs_to_open import REWARDS, opened, results, write_run


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "graders-engine" / "view"


def read_now(path: Path) -> reading.Read:
    return read(path, lambda done, of: None)


def reported(path: Path) -> dict[str, Any]:
    """What `graders report --json` prints."""
    meta = read_meta(path)
    return numbers_json(numbers_of(digest(path), meta), Provenance(path, meta))


def assert_as_reported(found: Summary, path: Path) -> None:
    report, summary = reported(path), found.as_json()
    assert summary["rows"] == report["rows"]
    assert summary["statuses"] == {name: report[name] for name in ("scored", "invalid", "failed")}
    assert summary["blames"] == report["blames"]
    assert summary["mean"] == report["mean"]
    assert summary["sub_rewards"] == {
        key: {"value": part["value"], "rows": part["rows"]}
        for key, part in report["sub_rewards"].items()
    }
    bars = [bar for bar in summary["histogram"] if bar["low"] is not None]
    assert [
        {
            "low": bar["low"],
            "high": bar["high"],
            "rows": bar["scored"] + bar["invalid"] + bar["failed"],
        }
        for bar in bars
    ] == report["histogram"]
    others = sum(bar["invalid"] + bar["failed"] for bar in summary["histogram"][len(bars) :])
    assert others == report["rows"] - (report["mean"] or {"rows": 0})["rows"]


@settings(max_examples=40)
@given(lines=results())
def test_every_figure_is_the_reports(
    lines: list[ResultLine], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write_run(tmp_path_factory.mktemp("run"), lines)
    first = read_now(path)
    assert_as_reported(first.summary, path)
    again = read_now(path)
    assert again.columns.folder == first.columns.folder
    assert again.summary == first.summary
    assert {flag: facts["rows"] for flag, facts in reported(path)["flags"].items()} == (
        first.columns.flag_counts()
    )


@settings(max_examples=40)
@given(lines=results())
def test_the_columns_are_those_that_comparisons_read(
    lines: list[ResultLine], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write_run(tmp_path_factory.mktemp("run"), lines)
    found, known = read_now(path).columns, RunColumns(path)
    for name in ("lines", "samples", "rewards", "counted", "hosted", "standings"):
        np.testing.assert_array_equal(getattr(found, name), getattr(known, name), name)
    every = range(len(lines))
    at = np.arange(len(lines))
    assert found.group_names(at) == known.group_names(at)
    assert found.keys == known.keys
    for key in known.keys:
        np.testing.assert_array_equal(found.counted_parts(key), known.counted_parts(key))
        shown = [line.sub_rewards.get(key) for line in lines]
        np.testing.assert_array_equal(found.sub_rewards(key), np.array(shown, np.float64))
    assert [found.result(index) for index in every] == lines
    assert [found.name_of(index) for index in every] == [line.name for line in lines]


@settings(max_examples=40)
@given(lines=results(), cut=st.integers(0, 25))
def test_a_file_that_grew_is_read_on_from_its_last_whole_line(
    lines: list[ResultLine], cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("run")
    whole = encode_results(lines)
    path = write_run(folder, [])
    path.write_bytes(encode_results(lines[:cut]) + (b'{"line":9' if lines[cut:] else b""))
    before = read_now(path)
    assert len(before.columns) == len(lines[:cut])
    starts = []

    def report(done: int, of: int) -> None:
        starts.append(done)

    path.write_bytes(whole)
    after = read(path, report)
    assert starts[0] == len(encode_results(lines[:cut]))
    assert_as_reported(after.summary, path)
    np.testing.assert_array_equal(after.columns.groups, RunColumns(path).groups)


LINES = [
    ResultLine(line, reward, "scored", {"a": reward}, {}, line / 1000)
    for line, reward in enumerate(REWARDS * 3, 1)
]


def test_a_file_that_was_replaced_is_read_anew_even_if_it_is_longer(tmp_path: Path) -> None:
    path = write_run(tmp_path, LINES[:10])
    read_now(path)
    others = [ResultLine(line.line, 1.0, "scored", {}, {}, 0.5) for line in LINES]
    path.write_bytes(encode_results(others))  # as --overwrite does: the same inode
    assert_as_reported(read_now(path).summary, path)


def test_a_row_that_was_edited_in_a_file_that_grew_is_read_anew(tmp_path: Path) -> None:
    lines = [ResultLine(line, 0.5, "scored", {}, {}, 0.25) for line in range(10_000, 20_000)]
    path = write_run(tmp_path, lines)
    read_now(path)
    edited = [replace(line, reward=0.9) if line.line == 10_065 else line for line in lines]
    path.write_bytes(encode_results([*edited, lines[0]]))
    assert_as_reported(read_now(path).summary, path)


def test_new_sub_rewards_may_come_in_any_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_BLOCK_BYTES", 300)
    lines = [
        ResultLine(line, 1.0, "scored", {f"part {line % 7}": line / 8, "ü": None}, {}, 0.0)
        for line in range(1, 30)
    ]
    path = write_run(tmp_path, lines)
    found = read_now(path)
    assert_as_reported(found.summary, path)
    assert found.columns.keys == RunColumns(path).keys


def damage_arrays(folder: Path) -> None:
    (next(folder.glob("new-*")) / "counted").write_bytes(b"1")


def damage_known(folder: Path) -> None:
    (folder / "known.json").write_text('{"layout": 1, "folder": "new-../../etc"}', encoding="utf-8")


def drop_an_array(folder: Path) -> None:
    (next(folder.glob("new-*")) / "bars").unlink()


def lose_a_fact(folder: Path) -> None:
    known = json.loads((folder / "known.json").read_bytes())
    del known["summary"]
    (folder / "known.json").write_text(json.dumps(known), encoding="utf-8")


@pytest.mark.parametrize(
    "damage", [damage_arrays, damage_known, drop_an_array, lose_a_fact], ids=lambda f: f.__name__
)
def test_a_cache_that_is_odd_is_made_anew(damage: Any, tmp_path: Path, own_cache: Path) -> None:
    path = write_run(tmp_path, LINES)
    read_now(path)
    (folder,) = own_cache.iterdir()
    damage(folder)
    assert_as_reported(read_now(path).summary, path)


def test_the_cache_is_its_users_alone_and_nothing_is_written_beside_the_results(
    tmp_path: Path, own_cache: Path
) -> None:
    (tmp_path / "run").mkdir()
    path = write_run(tmp_path / "run", LINES)
    before = sorted(os.listdir(path.parent))
    read_now(path)
    assert sorted(os.listdir(path.parent)) == before
    folders = [own_cache, *(each for each in own_cache.rglob("*") if each.is_dir())]
    assert {oct(folder.stat().st_mode & 0o777) for folder in folders} == {"0o700"}


def test_without_a_cache_that_can_be_written_to_a_run_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    path = write_run(tmp_path, LINES)
    assert_as_reported(read_now(path).summary, path)


def test_what_was_not_used_for_longest_goes_when_the_cache_is_too_large(
    tmp_path: Path, own_cache: Path
) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        path = write_run(tmp_path / name, LINES)
        read_now(path)
        os.utime(own_cache / reading.cache_name(path), (len(name), ord(name)))
    kept = reading.cache_name(tmp_path / "a" / "results.jsonl")
    size = cache.size_of(own_cache / kept)
    cache.prune({kept}, max_bytes=2 * size)
    assert {each.name for each in own_cache.iterdir()} == {
        reading.cache_name(tmp_path / name / "results.jsonl") for name in ("a", "c")
    }


def test_the_headline_comes_from_the_cache_alone(tmp_path: Path) -> None:
    path = write_run(tmp_path, LINES)
    assert headline(path) is None
    summary = read_now(path).summary
    found = headline(path)
    assert found is not None
    assert (found.rows, found.mean) == (summary.rows, summary.mean)
    assert sum(found.bars) == summary.rows
    path.write_bytes(encode_results(LINES[1:]))
    assert headline(path) is None
    shutil.rmtree(cache.root())
    assert headline(path) is None


LINE = b'{"line":%s,"reward":%s,"status":"%s","sub_rewards":{},"flags":{},"seconds":0}\n'
BROKEN = {
    "a data set": (b'{"item": {}}\n', "is not a result"),
    "a text": (b"nothing", "is not a results file"),
    "scored without a reward": (LINE % (b"1", b"null", b"scored"), "no reward"),
    "no blame": (LINE % (b"1", b"null", b"invalid"), "to blame"),
    "a blank line": (encode_results(LINES) + b"\n", "line 31, is not a result"),
    "a large line": (LINE % (b"1e30", b"1", b"scored"), "line 1"),
}


@pytest.mark.parametrize(("content", "says"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_results_file_is_refused_with_the_line(
    content: bytes, says: str, tmp_path: Path
) -> None:
    path = write_run(tmp_path, [])
    path.write_bytes(content)
    with pytest.raises(DataSetError, match=says):
        read_now(path)


def test_bars_are_those_of_the_histogram_where_a_value_is_below_an_edge_by_rounding_alone() -> None:
    values = np.array([0.8999999999999999, 0.9, *np.linspace(0, 1, 40)])
    found = histogram(counts_of(values), BARS)
    assert found is not None
    assert bars_of(values, found).tolist() == [found.bar_of(value) for value in values]


ODD_KEYS = [
    'a"b',
    "a\\b",
    "a\nb",
    "\0",
    "",
    "page",
    "sub.x",
    "__proto__",
    "f0",
    "line",
    "ü&=#%",
    "😀",
]


def test_sub_rewards_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_BLOCK_BYTES", 300)
    lines = [
        ResultLine(line, 1.0, "scored", {key: line / 8, "also": None}, {}, 0.0)
        for line, key in enumerate(["plain", *ODD_KEYS], 1)
    ]
    path = write_run(tmp_path, lines)
    found = read_now(path)
    assert_as_reported(found.summary, path)
    assert found.columns.keys == RunColumns(path).keys
    run = opened(OpenRun(path))
    for line, key in enumerate(ODD_KEYS, 2):
        query = urlencode({f"sub.{key}": f"{line / 8}..", "sort": f"-sub.{key}"})
        assert [run.name_of(index) for index in run.rows(parse_query(query)).indexes()] == [
            str(line)
        ]


def test_of_two_results_for_a_row_none_is_opened(tmp_path: Path) -> None:
    path = write_run(tmp_path, [*LINES[:2], ResultLine(1, 0.7, "scored", {}, {}, 0.0)])
    run = opened(OpenRun(path))
    assert run.index_of(RowKey(2, 0)) == 1
    with pytest.raises(DataSetError, match="several results for row 1"):
        run.index_of(RowKey(1, 0))


def test_without_a_home_the_cache_is_not_beside_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwd = pytest.importorskip("pwd")
    path = write_run(tmp_path, LINES)
    before = sorted(os.listdir(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name, value in (("XDG_CACHE_HOME", "rel"), ("XDG_STATE_HOME", "rel"), ("HOME", "")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    assert_as_reported(read_now(path).summary, path)
    assert headline(path) is None
    with pytest.raises(InvalidRequest, match="XDG_STATE_HOME"):
        kept_key()
    assert sorted(os.listdir(tmp_path)) == before


def test_a_file_that_two_want_is_read_once_and_both_hear_how_far_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, begun, times = folder / "sub" / "run.jsonl", Event(), list[int]()

    def slow(*arguments: Any) -> int:
        times.append(1)
        begun.set()
        while len(heard) < 2:
            sleep(0.01)
            arguments[-1](1)
        return read_results(*arguments)

    heard: dict[str, tuple[int, int]] = {}

    def wanted(name: str) -> reading.Read:
        return reading.read(path, lambda done, of: done and heard.update({name: (done, of)}))

    monkeypatch.setattr("graders_engine.view.reading.read_results", slow)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(wanted, "first")
        begun.wait()
        second = threads.submit(wanted, "second")
        assert first.result().summary == second.result().summary
    assert times == [1]
    assert heard.keys() == {"first", "second"}
