"""Runs of evals in the list: what their store says of them, whoever wrote the store."""

from __future__ import annotations

import errno
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from graders_engine.evals.wire import AS_IMPORTED
from graders_engine.settings import EngineSettings
from graders_engine.storage import unopened
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.listed_runs import listed_run
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store
from graders_engine.view import cache
from graders_engine.view.app import view_of_store
from graders_engine.view.folders.eval_runs import eval_json
from tests.view.asking import Page
from tests.view.test_runs import copy_run, listed

CRITERIA = [{"name": "a"}, {"name": "b"}]
COUNTS = {"total": 160, "passed": 90, "failed": 60, "errored": 10}
HUGE = {"total": 1, "passed": 10**400, "failed": 1 - 10**400, "errored": 0}


def results(counts: Mapping[str, Any], criteria: int = 3) -> dict[str, Any]:
    tested = [{"testing_criteria": str(n), "passed": 0, "failed": 0} for n in range(criteria)]
    return {"result_counts": counts, "per_testing_criteria_results": tested}


def stored(name: str, status: str, project: str = "default", **more: Any) -> StoredRun:
    given = {"result": {}, "request": {}, **more}
    return StoredRun(
        f"evalrun_{name}", f"eval_{project}", project, name, "gpt-x", status, None, 1_700_000_000, **given
    )  # fmt: skip


@pytest.fixture
def store(folder: Path, tmp_path: Path) -> Iterator[Store]:
    """A run in each status, an imported one, and one of another project."""
    with Store(tmp_path / "jobs") as store:
        for project in ("default", "other"):
            body = {"testing_criteria": CRITERIA}
            store.evals.add(StoredEval(f"eval_{project}", project, "Invoices", None, 1, 1, body))
        error = {"code": "data_error", "message": f"{store.folder}/files/x is damaged."}
        for run in (
            stored("queued", "queued"),
            stored("going", "in_progress", attempt=1, result=results({**COUNTS, "total": 40})),
            stored("whole", "completed", attempt=1, result=results(COUNTS)),
            stored("failed", "failed", attempt=1, error=error),
            stored("canceled", "canceled", attempt=1, wanted="canceled", result=results(COUNTS)),
            stored("imported", "completed", result=results(COUNTS, 1), request={AS_IMPORTED: {}}),
            stored("huge", "completed", result=results(HUGE), request={AS_IMPORTED: {}}),
            stored("secret", "completed", "other", attempt=1, result=results(COUNTS)),
        ):
            store.runs.add(run)
        for name in ("going", "whole", "secret"):
            copy_run(folder, store.run_folder(f"evalrun_{name}") / "results.jsonl")
        (store.run_folder("evalrun_going") / "items.jsonl").write_text('{"item": {}}\n' * 200)
        yield store


EXPECTED = {
    "queued": ("queued", 0, None, 2, None, ""),
    "going": ("in_progress", 40, 0.6, 3, 200, ""),
    "whole": ("completed", 160, 0.6, 3, None, ""),
    "failed": (
        "failed",
        0,
        None,
        2,
        None,
        "x is damaged. Correct the rows, and create another run.",
    ),
    "canceled": ("canceled", 160, 0.6, 3, None, ""),
    "imported": ("completed", 160, 0.6, 1, None, ""),
}
"""Of each run: its status, items, pass rate, criteria, items that it will have, and why it failed."""


def facts(run: dict[str, Any]) -> tuple[Any, ...]:
    of = run["eval"]
    keys = ("pass_rate", "criteria", "of", "reason")
    return (of["status"], of["counts"]["total"], *(of[key] for key in keys))


def test_a_server_lists_what_its_store_says_of_the_runs_of_one_project(store: Store) -> None:
    page = Page(view=view_of_store(store, EngineSettings()))
    runs = {run["eval"]["name"]: run for run in listed(page).values()}
    assert {name: facts(runs[name]) for name in EXPECTED} == EXPECTED
    assert "secret" not in runs
    assert {run["eval"]["eval"] for run in runs.values()} == {"Invoices"}
    assert {name: run["state"] for name, run in runs.items() if run["state"] != "none"} == {
        "going": "complete", "whole": "complete",
    }  # fmt: skip
    assert runs["queued"]["eval"]["report"] == "/reports/evalrun_queued"
    assert runs["queued"]["when"] == "2023-11-14T22:13:20+00:00"
    assert "still being counted" in runs["canceled"]["eval"]["notes"][0]
    assert "of which the store has 0" in runs["imported"]["eval"]["notes"][0]
    assert (runs["huge"]["eval"]["counts"], runs["huge"]["eval"]["pass_rate"]) == (None, None)
    assert str(store.folder) not in json.dumps(page.json("runs"))


def test_the_page_of_a_folder_says_the_same_of_a_store_in_it(store: Store) -> None:
    runs = {run["eval"]["name"]: run for run in listed(Page(store.folder.parent)).values()}
    assert {name: facts(runs[name]) for name in EXPECTED} == EXPECTED
    assert runs["queued"]["run"] == "jobs/runs/evalrun_queued/results.jsonl"
    assert runs["queued"]["state"] == "none"
    assert {run["eval"]["report"] for run in runs.values()} == {None}


def test_a_store_beside_what_was_opened_is_not_read(store: Store) -> None:
    page = Page(store.folder / "runs")
    assert {run["eval"] for run in listed(page).values()} == {None}
    name = "evalrun_whole%2Fresults.jsonl"
    assert page.json(f"runs/{name}")["run"]["name"] == "evalrun_whole/results.jsonl"


TABLES = """
CREATE TABLE eval (id, name, body);
CREATE TABLE item (run_id);
CREATE TABLE run (seq, id, eval_id, name, model, status, created_at, result, error, wanted, attempt);
INSERT INTO eval VALUES ('e', x'ff00', '[[');
"""
ENDLESS = """
CREATE TABLE eval (id, name, body);
CREATE TABLE item (run_id);
INSERT INTO eval VALUES ('e', '', '');
CREATE VIEW run AS WITH RECURSIVE n(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n) SELECT seq, 'x' AS id,
    'e' AS eval_id, '' AS name, '' AS model, '' AS status, 1 AS created_at, '{}' AS result, NULL AS error,
    '' AS wanted, 1 AS attempt FROM n;
"""
ODD = json.dumps(results({"total": True, "passed": -1}))


@pytest.mark.parametrize(
    ("script", "row", "runs"),
    [
        (ENDLESS, None, ["run"]),
        (TABLES, ("../../run", "e", "", "", "", 1, "", "", "", 1), ["run"]),
        (TABLES, ("run", "e", 7, None, b"\xff", 9e99, "[" * 5000, "3", None, 1), ["run"]),
        (TABLES, ("new", "e", "\0", "", "queued", 1 << 62, ODD, '{"message": [1]}', "", 0), ["run", "new"]),
    ],
    ids=["a query without end", "an id that leads out", "values of other types", "numbers of no calendar"],
)  # fmt: skip
def test_a_store_that_somebody_made_up_keeps_no_run_from_the_list(
    script: str,
    row: tuple[Any, ...] | None,
    runs: list[str],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unopened, "MAX_S", 0.1)
    copy_run(folder, tmp_path / "runs" / "run" / "results.jsonl")
    with closing(sqlite3.connect(tmp_path / "store.sqlite3")) as file, file:
        file.executescript(script)
        if row is not None:
            file.execute("INSERT INTO run VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    found = listed(Page(tmp_path))
    assert set(found) == {f"runs/{name}/results.jsonl" for name in runs}
    assert found["runs/run/results.jsonl"]["rows"] == 160


@pytest.mark.parametrize("result", ["[", "[]", json.dumps(results({**COUNTS, "passed": -1}))])
def test_a_run_whose_counts_are_none_has_no_pass_rate_of_zero(result: str, tmp_path: Path) -> None:
    run = listed_run(
        ("evalrun_1", "eval_1", "", "", "", "completed", 1, result, None, "", None, None)
    )
    found = eval_json(run, tmp_path, has_report=False)
    assert (found["counts"], found["pass_rate"]) == (None, None)
    assert found["notes"] == ["The counts of this run cannot be read."]


def test_what_a_server_says_of_a_run_names_no_folder_of_its_machine(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def full(*given: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    page = Page(view=view_of_store(store, EngineSettings()))
    with monkeypatch.context() as patch:
        patch.setattr(cache.CacheFolder, "publish", full)
        answer = page.get("runs/evalrun_whole/rows")
    assert (answer.status, answer.error["code"]) == (422, "data_error")
    assert "No space left" in answer.error["message"]
    assert str(tmp_path) not in answer.error["message"]
    assert str(tmp_path) not in json.dumps(page.json("runs"))
