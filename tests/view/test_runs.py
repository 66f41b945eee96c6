"""The list of runs: which files are runs, how far they are, what is wrong with them; the runs of a store."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from graders_engine.dataset.results import file as file_module
from graders_engine.dataset.results.file import ResultsFile
from graders_engine.server.responses import Refused
from graders_engine.settings import EngineSettings
from graders_engine.storage.evals import StoredEval
from graders_engine.storage.runs import StoredRun
from graders_engine.storage.store import Store
from graders_engine.view.app import view_of_folders, view_of_store
from graders_engine.view.context import Request
from graders_engine.view.folders import locks as locks_module
from graders_engine.view.folders import runs as runs_module
from graders_engine.view.folders.found import CUT, UNDESCRIBED
from graders_engine.view.folders.found_files import LEADS_OUT
from graders_engine.view.folders.locks import is_locked
from graders_engine.view.folders.places import Places
from tests.view.asking import Page

RUN = "sub/run.jsonl"


def listed(page: Page) -> dict[str, dict[str, Any]]:
    """The runs by id, once all were read."""
    while True:
        runs = page.json("runs")["runs"]
        if all(run["state"] != "unread" for run in runs):
            return {run["run"]: run for run in runs}


def copy_run(folder: Path, to: Path, **changes: Any) -> Path:
    """A copy of the run in another place, with changes in what describes it."""
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / RUN, to)
    meta = json.loads((folder / f"{RUN}.meta.json").read_text())
    Path(f"{to}.meta.json").write_text(json.dumps({**meta, **changes}))
    return to


def test_runs_are_found_in_folders_within_and_not_in_hidden_ones(
    folder: Path, tmp_path: Path
) -> None:
    for place in (
        "a.jsonl",
        "b/c/d.jsonl",
        ".git/e.jsonl",
        "node_modules/f.jsonl",
        "x/" * 9 + "g.jsonl",
    ):
        copy_run(folder, tmp_path / place)
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert set(listed(Page(tmp_path))) == {"a.jsonl", "b/c/d.jsonl"}


@pytest.mark.parametrize(
    ("given", "label"),
    [(".", "within"), ("..", "base"), ("./", "within"), ("../within", "../within"), ("/", "/")],
)
def test_a_folder_is_called_as_its_user_named_it_and_a_dot_by_its_name(
    given: str, label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    within = tmp_path / "base" / "within"
    within.mkdir(parents=True)
    monkeypatch.chdir(within)
    assert [place.label for place in Places([Path(given)]).all] == [label]


def test_the_newest_run_comes_first(folder: Path, tmp_path: Path) -> None:
    for age, name in enumerate(("new", "middle", "old")):
        path = copy_run(folder, tmp_path / f"{name}.jsonl")
        os.utime(path, (1e9 - 1000 * age, 1e9 - 1000 * age))
    assert list(listed(Page(tmp_path))) == ["new.jsonl", "middle.jsonl", "old.jsonl"]


def test_a_run_that_is_broken_says_why_and_keeps_no_other_from_the_list(
    folder: Path, tmp_path: Path
) -> None:
    copy_run(folder, tmp_path / "good.jsonl")
    (copy_run(folder, tmp_path / "lost.jsonl")).unlink()
    copy_run(folder, tmp_path / "torn.jsonl")
    (tmp_path / "torn.jsonl.meta.json").write_text('{"grader": ')
    copy_run(folder, tmp_path / "other.jsonl").write_text('{"item": 1}\n')
    runs = listed(Page(tmp_path))
    assert {name: run["state"] for name, run in runs.items()} == {
        "good.jsonl": "complete", "lost.jsonl": "broken", "torn.jsonl": "broken", "other.jsonl": "broken",
    }  # fmt: skip
    assert "no results file" in runs["lost.jsonl"]["problem"]
    assert "is not JSON" in runs["torn.jsonl"]["problem"]
    assert "is not a result" in runs["other.jsonl"]["problem"]


def test_results_that_nothing_describes_are_listed_and_not_taken_for_whole(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copy(folder / RUN, tmp_path / "alone.jsonl")
    copy_run(folder, tmp_path / "cut.jsonl")
    for name in ("cut.jsonl", "alone and cut.jsonl"):
        (tmp_path / name).write_bytes((tmp_path / "alone.jsonl").read_bytes()[:-9])
    (tmp_path / "one.jsonl").write_bytes(b'{"line":1,"rew')
    (tmp_path / "mixed.jsonl").write_bytes((folder / RUN).read_bytes() + b"[]\n")
    (tmp_path / "rows.jsonl").write_text('{"line":1,"item":{},"model_sample":"x"}\n')
    page = Page(tmp_path)
    runs = listed(page)
    assert {name: (run["state"], run["rows"]) for name, run in runs.items()} == {
        "alone.jsonl": ("undescribed", 160), "cut.jsonl": ("torn", 159),
        "alone and cut.jsonl": ("torn", 159), "one.jsonl": ("torn", 0), "mixed.jsonl": ("broken", None),
    }  # fmt: skip
    assert runs["alone.jsonl"]["problem"] == UNDESCRIBED
    assert runs["cut.jsonl"]["problem"] == CUT
    assert "line 161, is not a result" in runs["mixed.jsonl"]["problem"]
    assert page.json("runs")["others"] == [{"path": "rows.jsonl", "kind": "data"}]
    assert page.json("runs/cut.jsonl")["run"]["problem"] == CUT
    assert page.json("runs/alone.jsonl/rows")["count"] == 160


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("import re\n\ndef grade(sample, item):\n    return 1.0\n", "grader"),
        ("def grade(sample, item): return 1.0\r\n", "grader"),
        ("class Grader:\n    def grade(self, sample): return 1.0\n", ""),
        ("def grade_all(rows): return []\n", ""),
        ('["type: python"]\n', ""),
        ("type: string_check\n", ""),
    ],
)
def test_a_python_file_is_a_grader_where_it_defines_grade(
    source: str, kind: str, tmp_path: Path
) -> None:
    (tmp_path / "one.py").write_bytes(source.encode())
    expected = [{"path": "one.py", "kind": kind}] if kind else []
    assert Page(tmp_path).json("runs")["others"] == expected


def test_a_line_that_is_being_written_is_not_cut_off(folder: Path, tmp_path: Path) -> None:
    path = copy_run(folder, tmp_path / "r.jsonl", complete=False)
    path.write_bytes(path.read_bytes()[:-9])
    with locked(path):
        assert listed(Page(tmp_path))["r.jsonl"]["state"] == "running"
    assert listed(Page(tmp_path))["r.jsonl"]["state"] == "torn"


def test_results_behind_a_link_that_leads_out_are_not_read(folder: Path, tmp_path: Path) -> None:
    copy_run(folder, tmp_path / "opened" / "run.jsonl").unlink()
    (tmp_path / "opened" / "run.jsonl").symlink_to(folder / RUN)
    (run,) = listed(Page(tmp_path / "opened")).values()
    assert (run["state"], run["problem"], run["rows"]) == ("broken", LEADS_OUT, None)


def test_a_list_that_is_not_whole_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        copy_run(folder, tmp_path / f"{number}.jsonl")
    assert Page(tmp_path).json("runs")["more"] is False
    monkeypatch.setattr(runs_module, "MAX_RUNS", 2)
    found = Page(tmp_path).json("runs")
    assert (len(found["runs"]), found["more"]) == (2, True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with Path(f"{path}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_a_run_that_goes_on_shows_how_far_it_is(folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text('{"item": {}, "model_sample": "x"}\n\n' * 250)
    described = {"path": str(data), "form": "jsonl"}
    path = copy_run(
        folder, tmp_path / "r.jsonl", complete=False, data=described, settings={"shape": "rows"}
    )
    page = Page(tmp_path)
    assert listed(page)["r.jsonl"]["state"] == "unfinished"
    with locked(path):
        run = listed(page)["r.jsonl"]
        assert (run["state"], run["rows"], run["of"]) == ("running", 160, 250)
        with path.open("ab") as file:
            file.write(
                path.read_bytes().splitlines(keepends=True)[0].replace(b'"line":1', b'"line":99')
            )
        while listed(page)["r.jsonl"]["rows"] != 161:
            pass
    assert listed(page)["r.jsonl"]["state"] == "unfinished"


def test_where_the_system_lists_no_locks_only_a_run_that_holds_one_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks_module, "LOCKS", tmp_path / "none")
    path = copy_run(folder, tmp_path / "r.jsonl", complete=False)
    page = Page(tmp_path)
    with locked(path):
        assert listed(page)["r.jsonl"]["state"] == "running"
    assert Path(f"{path}.lock").exists()  # as after a kill
    assert listed(page)["r.jsonl"]["state"] == "unfinished"


def test_a_run_waits_for_a_lock_that_is_held_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.jsonl"
    monkeypatch.setattr(file_module, "LOCK_WAIT_S", 60.0)
    with ExitStack() as moment:
        moment.enter_context(locked(path))
        timer = Timer(0.2, moment.close)
        timer.start()
        with ResultsFile(path, {}):
            assert is_locked(Path(f"{path}.lock"))
        timer.join()


def test_looking_at_a_run_does_not_take_its_lock(folder: Path, tmp_path: Path) -> None:
    path = copy_run(folder, tmp_path / "r.jsonl", complete=False)
    with Path(f"{path}.lock").open("w") as lock:
        page = Page(tmp_path)
        for _ in range(200):
            listed(page)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises if somebody has it
            fcntl.flock(lock, fcntl.LOCK_UN)


@pytest.fixture
def store(folder: Path, tmp_path: Path) -> Iterator[Store]:
    """Two projects with an eval and a run each; the first run has results."""
    with Store(tmp_path / "jobs") as store:
        for project in ("default", "other"):
            eval_id, run_id = f"eval_{project}", f"evalrun_{project}"
            store.evals.add(stored_eval(eval_id, project))
            store.runs.add(stored_run(run_id, eval_id, project))
        copy_run(folder, store.run_folder("evalrun_default") / "results.jsonl")
        yield store


def stored_eval(eval_id: str, project: str) -> StoredEval:
    return StoredEval(
        id=eval_id,
        project=project,
        name="Invoices",
        metadata=None,
        created_at=1,
        updated_at=1,
        body={},
    )


def stored_run(run_id: str, eval_id: str, project: str) -> StoredRun:
    return StoredRun(run_id, eval_id, project, "first", "gpt-x", "completed", None, 1, {}, {})


def test_the_runs_of_a_store_in_a_folder_have_their_names(store: Store) -> None:
    folder = store.folder
    store.close()
    before = sorted(path.name for path in folder.iterdir())
    run = listed(Page(folder.parent))["jobs/runs/evalrun_default/results.jsonl"]
    assert (run["name"], run["model"], run["kind"]) == ("Invoices / first", "gpt-x", "eval")
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_server_shows_each_project_its_own_runs(store: Store) -> None:
    view = view_of_store(store, EngineSettings())

    def runs(project: str) -> dict[str, Any]:
        found = view.source(Request(project, {})).listing()["runs"]
        return {run["run"]: run for run in found}

    while runs("default")["evalrun_default"]["state"] == "unread":
        pass
    assert runs("default")["evalrun_default"]["rows"] == 160
    assert list(runs("other")) == ["evalrun_other"]
    assert runs("other")["evalrun_other"]["state"] == "none"
    page = Page(view=view)
    assert page.get("runs/evalrun_default/rows").status == 200
    for name in ("evalrun_other", "..%2Fstore.sqlite3", "evalrun_none"):
        assert page.get(f"runs/{name}/rows").status == 404
    assert page.post("save", {}).error["code"] == "read_only"


def test_a_new_file_goes_beside_a_run_and_nowhere_else(folder: Path) -> None:
    source = view_of_folders([folder], EngineSettings()).source(Request("default", {}))
    assert source.new_file(RUN, "grader-2.json") == folder.resolve() / "sub" / "grader-2.json"
    for name in (
        "../x.json",
        "/var/x.json",
        ".x.json",
        "x.jsonl",
        "a/b.json",
        "x\0.json",
        "",
        "x.json\n",
    ):
        with pytest.raises(Refused) as refused:
            source.new_file(RUN, name)
        assert refused.value.status == 400
    with pytest.raises(Refused) as taken:
        source.new_file("rows.jsonl", "grader.json")
    assert taken.value.status == 409
