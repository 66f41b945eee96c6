"""What goes wrong behind a request is said: nothing waits for ever, and a part never passes for the whole."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from graders_engine.errors import DataSetError
from graders_engine.settings import EngineSettings
from graders_engine.view import opened as opened_runs
from graders_engine.view import overview, overview_sections, texts
from graders_engine.view.app import view_of_folders
from graders_engine.view.folders import found
from graders_engine.view.opened import OpenRun
from graders_engine.view.query import parse_query
from graders_engine.view.searching import search
from graders_engine.view.selection import Selection
from tests.view.asking import Page
from tests.view.runs_to_open import opened

WHY = "a fault that nobody thought of"
LIMIT_S = 30


class Broken:
    """A function that fails until it is mended."""

    def __init__(self, patch: pytest.MonkeyPatch, of: Any, name: str) -> None:
        self._function: Callable[..., Any] = getattr(of, name)
        self.is_broken = True

        def call(*arguments: Any, **named: Any) -> Any:
            if self.is_broken:
                raise RuntimeError(WHY)
            return self._function(*arguments, **named)

        patch.setattr(of, name, call)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def run(folder: Path) -> Iterator[OpenRun]:
    made = OpenRun(folder / "sub" / "run.jsonl")
    yield made
    made.close()


def until(question: Callable[[], Any]) -> Any:
    end = time.monotonic() + LIMIT_S
    while not (answer := question()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return answer


def ended(run: OpenRun) -> Selection:
    def selection() -> Selection | None:
        rows = run.rows(parse_query("q=ACME"))
        assert rows.search is not None
        return rows if rows.search.done else None

    rows: Selection = until(selection)
    return rows


def test_a_search_that_broke_down_does_not_pass_for_a_whole_one(
    run: OpenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Broken(monkeypatch, search.Search, "_look")
    monkeypatch.setattr(search, "_AGAIN_S", 0)
    opened(run)
    rows = ended(run)
    assert rows.search is not None
    assert WHY in rows.search.problem
    assert (rows.count, rows.search.scanned) == (0, 0)
    broken.is_broken = False
    rows = until(lambda: (one := ended(run)).count and one)
    assert rows.search is not None
    assert rows.search.problem == ""


def test_results_whose_reading_broke_down_are_read_again(
    run: OpenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Broken(monkeypatch, opened_runs, "read")

    def failure() -> str:
        try:
            run.ready()
        except RuntimeError as error:
            return str(error)
        return ""

    assert until(failure) == WHY
    broken.is_broken = False

    def is_ready() -> bool:
        try:
            return run.ready() is None
        except RuntimeError:
            return False

    assert until(is_ready)


def test_texts_that_cannot_be_made_say_why(run: OpenRun, monkeypatch: pytest.MonkeyPatch) -> None:
    Broken(monkeypatch, texts, "rows_by_line")
    opened(run)
    with pytest.raises(DataSetError, match=WHY):
        run.row(0)


def test_a_run_that_cannot_be_read_keeps_no_other_from_being_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Broken(monkeypatch, found, "read")
    page = Page(view=view_of_folders([folder], EngineSettings()))
    assert WHY in until(lambda: page.json("runs")["runs"][0]["problem"])
    broken.is_broken = False
    other = Page(view=view_of_folders([folder], EngineSettings()))
    assert until(lambda: other.json("runs")["runs"][0]["rows"]) == 160


def test_an_overview_that_broke_down_is_made_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Broken(monkeypatch, overview_sections, "numbers_of")
    page = Page(folder)
    address = "runs/sub%2Frun.jsonl"
    assert until(lambda: page.get(address).status == 500)
    broken.is_broken = False
    assert until(lambda: page.get(address).status == 200)


def test_the_overview_of_a_large_run_is_made_by_another_process_and_is_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "runs/sub%2Frun.jsonl"
    here = Page(folder).json(address)
    monkeypatch.setattr(overview, "IN_PLACE_BYTES", 0)
    broken = Broken(monkeypatch, overview_sections, "numbers_of")
    page = Page(folder)
    assert until(lambda: page.get(address).status == 200)
    assert page.json(address) == here
    assert broken.is_broken  # and nothing was made in this process


@pytest.mark.parametrize(
    ("program", "reason"),
    [("print('\"The reason.\"')", "The reason."), ("raise MemoryError", "ended early")],
)
def test_why_another_process_makes_no_overview_is_said(
    program: str, reason: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "IN_PLACE_BYTES", 0)
    monkeypatch.setattr(overview, "COMMAND", (sys.executable, "-c", program))
    page = Page(folder)
    assert until(lambda: reason in page.get("runs/sub%2Frun.jsonl").body.decode())
