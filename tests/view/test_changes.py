"""Files that change while the page is open: a number and a text are of the same file, or the page says so."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graders_engine.dataset.results.data import open_data_of
from graders_engine.dataset.results.line import ResultLine, encode_results
from graders_engine.errors import DataSetError
from graders_engine.settings import EngineSettings
from graders_engine.view import cache, listing, texts
from graders_engine.view import opened as opened_runs
from graders_engine.view.app import view_of_folders
from graders_engine.view.context import Request, StillReading, View
from graders_engine.view.loading.snapshot import Snapshot
from graders_engine.view.opened import OpenRun
from graders_engine.view.query import parse_query
from tests.view.runs_to_open import opened, write_data, write_run

LINES = [ResultLine(line, line / 10, "scored", {}, {}, 0.5) for line in range(1, 5)]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(opened_runs, "_CHECKED_EVERY_S", 0)
    monkeypatch.setattr(opened_runs, "_REST", 0)


def asked(view: View) -> OpenRun:
    while True:
        try:
            return view.opened(Request("", {"run": "results.jsonl"}))
        except StillReading:
            continue


def until_it_raises(call: Callable[[], object]) -> None:
    while True:
        call()


def test_a_request_sees_the_same_rows_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    path = write_run(tmp_path, LINES)
    view = view_of_folders([tmp_path], EngineSettings())
    before = asked(view)
    (worst,) = before.rows(parse_query("reward=0.4..")).indexes()
    path.unlink()
    others = [ResultLine(line, 0.0, "scored", {}, {}, 0.25) for line in (7, 8, 9)]
    path.write_bytes(encode_results(others))
    while len((after := asked(view)).columns) == len(LINES):
        pass
    assert (after.name_of(0), before.name_of(worst)) == ("7", "4")
    with pytest.raises(DataSetError, match="was changed"):
        before.result(worst)


@pytest.mark.parametrize(
    "changes", [{"reward": 0.9}, {"seconds": 0.1}, {"line": 2}, {"status": "failed"}], ids=str
)
def test_a_row_of_another_file_is_not_given_for_one_that_stood_at_its_place(
    changes: dict[str, object], tmp_path: Path
) -> None:
    path = write_run(tmp_path, LINES)
    run = opened(OpenRun(path)).as_it_is()
    fields = {"line": 1, "reward": 0.1, "status": "scored", "sub_rewards": {}, "flags": {}}
    other = ResultLine(**{**fields, "seconds": 0.5, **changes})  # type: ignore[arg-type] # as named
    content = encode_results([other]).rstrip(b"\n")
    first = int(run.columns.ends[0])
    path.write_bytes(content.ljust(first - 1) + b"\n" + encode_results(LINES[1:]))
    with pytest.raises(DataSetError, match="changed"):
        run.result(0)


def test_no_text_of_a_data_set_that_was_edited_stands_beside_a_reward(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "WAIT_S", 0.05)
    data = write_data(tmp_path, [{"item": {}, "model_sample": f"text {n}"} for n in range(4)])
    path = write_run(tmp_path, LINES, grader={}, data={"path": str(data)}, settings={})
    run = opened(OpenRun(path))
    while run.data_problem:
        pass
    assert run.texts([1])[0].sample == "text 1"
    checks = threading.Event()
    open_again = open_data_of

    def slowly(*given: object, **named: object) -> object:
        checks.wait()
        return open_again(*given, **named)  # type: ignore[arg-type] # as they were given

    monkeypatch.setattr(texts, "open_data_of", slowly)
    state = os.stat(data)
    data.write_text(data.read_text().replace("text", "TEXT"))
    os.utime(data, ns=(state.st_atime_ns, state.st_mtime_ns))
    try:
        with pytest.raises(DataSetError, match="is being read"):
            run.texts([1])
    finally:
        checks.set()


def test_a_request_that_comes_while_results_are_replaced_has_rewards_and_texts_of_the_same_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datas = [
        write_data(tmp_path, [{"item": {}, "model_sample": name}] * 4, f"{name}.jsonl")
        for name in ("before", "after")
    ]
    path = write_run(tmp_path, LINES, grader={}, data={"path": str(datas[0])}, settings={})
    run = opened(OpenRun(path))
    while run.data_problem:
        pass
    meanwhile: list[OpenRun] = []

    def taken(*given: Any) -> Snapshot:
        meanwhile.append(run.as_it_is())
        return Snapshot(*given)

    monkeypatch.setattr(opened_runs, "Snapshot", taken)
    others = [ResultLine(line, 0.0, "scored", {}, {}, 0.25) for line in (1, 2)]
    path.unlink()
    write_run(tmp_path, others, grader={}, data={"path": str(datas[1])}, settings={})
    while len(run.columns) != 2 or run.data_problem:
        pass
    assert [each.sample for each in run.texts([0, 1])] == ["after"] * 2
    assert len(meanwhile[0].columns) == 4
    assert meanwhile[0].texts([0])[0].sample == "before"


def test_an_export_breaks_off_where_the_data_set_goes_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PIECE_BYTES", 1)
    data = write_data(tmp_path, [{"item": {"a": n}, "model_sample": "x"} for n in range(4)])
    write_run(tmp_path, LINES, grader={}, data={"path": str(data)}, settings={})
    view = view_of_folders([tmp_path], EngineSettings())
    while asked(view).data_problem:
        pass
    pieces = listing.export(view, Request("", {"run": "results.jsonl"})).content
    assert not isinstance(pieces, bytes)
    assert json.loads(next(pieces))["item"] == {"a": 0}
    data.unlink()
    with pytest.raises(DataSetError):
        next(pieces)
    without = listing.export(view, Request("", {"run": "results.jsonl"})).content
    assert not any("item" in json.loads(piece) for piece in without)  # type: ignore[arg-type] # pieces


def test_only_a_file_that_grows_is_let_rest_between_two_readings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened_runs, "_REST", 1e9)
    path = write_run(tmp_path, LINES[:2])
    run = opened(OpenRun(path))
    path.write_bytes(encode_results(LINES))
    assert len(run.columns) == 2
    path.write_bytes(encode_results(LINES[:1]))
    while len(run.columns) != 1:
        pass
    path.unlink()
    with pytest.raises(DataSetError, match="cannot be read"):
        until_it_raises(
            run.ready
        )  # while the last reading has not ended, the file is not looked at
    path.write_bytes(encode_results(LINES[:3]))
    while True:
        try:
            assert len(opened(run).columns) == 3
            break
        except DataSetError:
            continue


def test_results_are_read_again_once_the_disk_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = True
    publish = cache.CacheFolder.publish

    def published(*given: Any) -> None:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        publish(*given)

    monkeypatch.setattr(cache.CacheFolder, "publish", published)
    run = OpenRun(write_run(tmp_path, LINES))
    with pytest.raises(DataSetError, match="No space left"):
        opened(run)
    full = False
    for _ in range(1000):
        try:
            assert len(opened(run).columns) == len(LINES)
            break
        except DataSetError:
            time.sleep(0.02)
    else:
        pytest.fail("it was not read again")
