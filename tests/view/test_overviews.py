"""Overviews: each of one file, made a few at a time, by processes without keys that end with the server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from graders_engine.dataset.results.line import ResultLine, encode_results
from graders_engine.view import opened as opened_runs
from graders_engine.view import overview, overview_sections
from graders_engine.view.searching.folding import Child
from tests.view.asking import Page
from tests.view.runs_to_open import write_data, write_run
from tests.view.test_failures import until

RUN = "runs/results.jsonl"


def lines(reward: float) -> list[ResultLine]:
    return [ResultLine(line, reward, "scored", {}, {}, 0.5) for line in range(1, 5)]


def grader(name: str) -> dict[str, Any]:
    check = {"type": "string_check", "operation": "eq", "input": "a", "reference": "b"}
    return {**check, "name": name}


def write_others(folder: Path, reward: float, name: str) -> None:
    """Other results, moved to where results were."""
    made = folder / "made"
    made.mkdir()
    write_run(made, lines(reward), grader=grader(name))
    for path in made.iterdir():
        path.replace(folder / path.name)
    made.rmdir()


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(opened_runs, "_CHECKED_EVERY_S", 0)


def test_no_overview_has_numbers_of_new_results_beside_the_grader_of_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder := tmp_path / "runs").mkdir()
    write_run(folder, lines(0.25), grader=grader("the-old-one"))
    page = Page(folder)
    assert "the-old-one" in json.dumps(page.json(RUN)["sections"])
    monkeypatch.setattr(opened_runs, "_CHECKED_EVERY_S", 1e9)  # it is not noticed yet
    write_others(folder, 0.75, "the-new-one")
    assert page.ask("GET", f"/view/api/{RUN}").status == 202
    monkeypatch.setattr(opened_runs, "_CHECKED_EVERY_S", 0)
    found = page.json(RUN)
    assert found["numbers"]["mean"]["value"] == 0.75
    assert found["grader"]["name"] == "the-new-one"
    text = json.dumps(found["sections"])
    assert "the-new-one" in text
    assert "the-old-one" not in text


def test_results_that_are_replaced_while_their_overview_is_made_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder := tmp_path / "runs").mkdir()
    write_run(folder, lines(0.25), grader=grader("the-old-one"))
    page = Page(folder)
    make = overview_sections.numbers_and_sections

    def replaced_meanwhile(asked: Any) -> dict[str, Any]:
        made = make(asked)
        if asked.meta["grader"]["name"] == "the-old-one":
            write_others(folder, 0.75, "the-new-one")
        return made

    monkeypatch.setattr(overview, "numbers_and_sections", replaced_meanwhile)
    assert page.json(RUN)["numbers"]["mean"]["value"] == 0.75


def test_other_results_of_the_same_size_and_time_are_noticed(tmp_path: Path) -> None:
    (folder := tmp_path / "runs").mkdir()
    path = write_run(folder, lines(0.25), grader=grader("g"))
    page = Page(folder)
    assert page.json(RUN)["numbers"]["mean"]["value"] == 0.25
    assert until(lambda: page.json("runs")["runs"][0]["mean"])["value"] == 0.25
    state = os.stat(path)
    path.write_bytes(encode_results(lines(0.75)))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    found = page.json(RUN)
    assert (found["numbers"]["mean"]["value"], found["run"]["rows"]) == (0.75, 4)
    assert until(lambda: page.json("runs")["runs"][0]["mean"])["value"] == 0.75


def test_what_gave_the_results_may_come_later_than_they(tmp_path: Path) -> None:
    (folder := tmp_path / "runs").mkdir()
    data = write_data(tmp_path, [{"item": {}, "model_sample": f"text {n}"} for n in range(4)])
    found = lines(0.5)
    found[0] = ResultLine(1, 1.0, "scored", {}, {}, 0.5)
    path = write_run(folder, found)
    described = path.with_name(f"{path.name}.meta.json")
    described.unlink()
    page = Page(folder)
    assert until(lambda: page.json("runs")["runs"][0]["mean"])["high"] > 1
    assert page.json(f"{RUN}/rows")["rows"][0]["excerpt"] is None
    meta = {"grader": grader("g"), "data": {"path": str(data)}, "settings": {}}
    described.write_text(json.dumps(meta))
    rows = until(lambda: _with_texts(page))
    report = page.json(RUN)["numbers"]["mean"]
    assert report["high"] <= 1
    assert rows["all"]["mean"] == report
    assert until(lambda: page.json("runs")["runs"][0]["mean"]) == report
    assert Page(folder).json(f"{RUN}/rows")["all"]["mean"] == report


def _with_texts(page: Page) -> Any:
    rows = page.json(f"{RUN}/rows")
    return rows if rows["rows"][0]["excerpt"] is not None else None


def test_with_which_reward_a_prompt_passes_may_change_while_the_page_is_open(
    tmp_path: Path,
) -> None:
    (folder := tmp_path / "runs").mkdir()
    found = [ResultLine(line, 0.5, "scored", {}, {}, 0.5, group="p") for line in (1, 2)]
    path = write_run(folder, found, grader=grader("g"))
    page = Page(folder)
    assert page.json(f"{RUN}/prompts")["passing"] == 1
    meta = {"grader": grader("g"), "report": {"passing": 0.5}}
    path.with_name(f"{path.name}.meta.json").write_text(json.dumps(meta))
    assert until(lambda: page.json(f"{RUN}/prompts")["passing"] == 0.5)
    assert page.json(f"{RUN}/prompts")["counts"]["always"] == 1


def at_work() -> Sequence[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "graders-view-overview"]


def test_a_few_overviews_are_made_at_a_time_however_many_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"run-{number}" for number in range(10)]
    for name in names:
        (tmp_path / "runs" / name).mkdir(parents=True)
        write_run(tmp_path / "runs" / name, lines(0.5), grader=grader("g"))
    make = overview_sections.numbers_and_sections
    begin = threading.Event()

    def when_all_have_asked(asked: Any) -> dict[str, Any]:
        begin.wait()
        return make(asked)

    monkeypatch.setattr(overview, "numbers_and_sections", when_all_have_asked)
    monkeypatch.setattr(overview, "WAIT_S", 0.01)
    page = Page(tmp_path / "runs")
    try:
        for name in [*names, *names]:
            address = f"/view/api/runs/{name}%2Fresults.jsonl"
            assert page.ask("GET", address).status == 202
        assert len(at_work()) <= overview.MADE_TOGETHER
    finally:
        begin.set()
    for name in names:
        assert page.json(f"runs/{name}%2Fresults.jsonl")["numbers"]["rows"] == 4


def test_a_process_that_never_answers_is_ended_and_others_get_their_turn(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "IN_PLACE_BYTES", 0)
    monkeypatch.setattr(overview, "LONGEST_S", 0.1)
    command = overview.COMMAND
    waits = (sys.executable, "-c", "import threading; threading.Event().wait()")
    monkeypatch.setattr(overview, "COMMAND", waits)
    page = Page(folder)
    answer = page.get("runs/sub%2Frun.jsonl")
    assert (answer.status, "took more than 0.1 s" in answer.error["message"]) == (422, True)
    monkeypatch.setattr(overview, "COMMAND", command)
    monkeypatch.setattr(overview, "LONGEST_S", 600)
    assert page.json("runs/sub%2Frun.jsonl")["numbers"]["rows"] == 160


WAITS_FOR_EVER = """
import threading
from graders_engine.view import overview_sections

overview_sections.numbers_and_sections = lambda asked: threading.Event().wait()
overview_sections.main()
"""


def test_the_process_of_an_overview_ends_with_the_server() -> None:
    command = [sys.executable, "-c", WAITS_FOR_EVER]
    asked: dict[str, Any] = {"path": "a", "meta": {}, "data": None, "run_id": "a"}
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(asked).encode() + b"\n")
        process.stdin.close()  # as the system does when the server is killed
        try:
            assert process.wait(60) == 1
        finally:
            process.kill()


def test_the_processes_of_the_page_get_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "GRADERS_API_KEY", "KEY_RESEARCH"):
        monkeypatch.setenv(name, "sk-secret")
    program = "import json, os; print(json.dumps(dict(os.environ)))"
    child = Child((sys.executable, "-c", program), None)
    try:
        (environment,) = child.answers()
    finally:
        child.stop()
    assert "PATH" in environment
    assert "sk-secret" not in environment.values()


def test_results_that_only_grow_have_an_overview_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder := tmp_path / "runs").mkdir()
    path = write_run(folder, lines(0.25), grader=grader("g"))
    make = overview_sections.numbers_and_sections

    def grown_meanwhile(asked: Any) -> dict[str, Any]:
        made = make(asked)
        with path.open("ab") as file:
            file.write(path.read_bytes().splitlines(keepends=True)[0])
        return made

    monkeypatch.setattr(overview, "numbers_and_sections", grown_meanwhile)
    page = Page(folder)
    assert until(lambda: page.ask("GET", f"/view/api/{RUN}").status == 200)


def test_an_overview_has_the_texts_of_a_data_set_that_was_brought_back(tmp_path: Path) -> None:
    (folder := tmp_path / "runs").mkdir()
    data = write_data(tmp_path, [{"item": {}, "model_sample": f"text-{n}"} for n in range(4)])
    meta = {"grader": grader("g"), "data": {"path": str(data)}, "settings": {}}
    write_run(folder, lines(0.5), **meta)
    away = data.rename(tmp_path / "away.jsonl")
    page = Page(folder)
    assert "text-0" not in json.dumps(page.json(RUN)["sections"])
    away.rename(data)
    assert until(lambda: not page.json(RUN)["data"]["problem"])
    assert "text-0" in json.dumps(page.json(RUN)["sections"])
