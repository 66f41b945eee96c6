"""Links that lead out of what was opened, or in a circle, and names that no file can have."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.view.asking import Page
from tests.view.test_runs import copy_run, listed


def results(outside: Path, run: Path) -> None:
    run.unlink()
    run.symlink_to(outside)


def description(outside: Path, run: Path) -> None:
    meta = Path(f"{run}.meta.json")
    meta.unlink()
    meta.symlink_to(f"{outside}.meta.json")


def lines_of_a_table(outside: Path, run: Path) -> None:
    shutil.copy(f"{outside}.meta.json", f"{run}.csv.jsonl.meta.json")
    Path(f"{run}.csv.jsonl").symlink_to(outside)
    run.rename(f"{run}.csv")
    Path(f"{run}.meta.json").unlink()


@pytest.mark.parametrize(
    "leads_out", [results, description, lines_of_a_table], ids=lambda f: f.__name__
)
def test_no_part_of_a_run_is_read_through_a_link_that_leads_out(
    leads_out: Callable[[Path, Path], None], folder: Path, tmp_path: Path
) -> None:
    outside = copy_run(folder, tmp_path / "outside" / "secret.jsonl")
    copy_run(folder, tmp_path / "opened" / "kept.jsonl")
    run = copy_run(folder, tmp_path / "opened" / "run.jsonl")
    leads_out(outside, run)
    page = Page(tmp_path / "opened")
    described = {name for name, run in listed(page).items() if run["state"] != "broken"}
    assert described == {"kept.jsonl"}
    for name in ("run.jsonl", "run.jsonl.csv"):
        for path in (f"runs/{name}", f"runs/{name}/rows", f"compare?a=kept.jsonl&b={name}"):
            assert page.get(path).status == 404, path


def test_a_link_to_itself_and_a_name_that_is_too_long_break_nothing(
    folder: Path, tmp_path: Path
) -> None:
    copy_run(folder, tmp_path / "run.jsonl")
    (tmp_path / "loop.jsonl").symlink_to(tmp_path / "loop.jsonl")
    page = Page(tmp_path)
    assert set(listed(page)) == {"run.jsonl"}
    assert page.get("runs/loop.jsonl/rows").status == 404
    assert page.get(f"runs/{'a' * 300}.jsonl/rows").status == 404
    body = {"data": f"{'a' * 300}.jsonl", "grader": '{"type": "string_check", "name": "n", '}
    grader = '"input": "", "reference": "", "operation": "eq"}'
    assert page.post("try", {**body, "grader": body["grader"] + grader}).status == 404


def test_nothing_is_saved_through_a_folder_that_leads_out_or_as_what_describes_a_run(
    folder: Path, tmp_path: Path
) -> None:
    run = copy_run(folder, tmp_path / "opened" / "run.jsonl")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "back.jsonl").symlink_to(run)
    (run.parent / "away").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    page = Page(run.parent)
    body = {"run": "away/back.jsonl", "name": "g.json", "grader": "{}", "format": "json"}
    assert page.post("save", body).status == 404
    other = {**body, "run": "run.jsonl", "name": "data.jsonl.META.json"}
    assert page.post("save", other).status == 400
    assert not [*tmp_path.rglob("g.json"), *tmp_path.rglob("*META*")]
