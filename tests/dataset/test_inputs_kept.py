"""Nothing that a run reads, and nothing of anybody else, is overwritten by what the run writes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graders_engine import DataSetError, Engine
from graders_engine.dataset.scoring.score import score_file
from tests.dataset.files import cats, results, write_rows

COMPANIONS = [
    ".meta.json", ".lock", ".index.sqlite", ".index.sqlite-wal", ".index.sqlite-shm",
    ".index.sqlite-journal", ".graders.tmp", ".meta.json.graders.tmp",
]  # fmt: skip
"""What a run may write next to its results, by the end of the name."""


def same_name(path: Path) -> Path:
    return path


def through_the_parent(path: Path) -> Path:
    return path.parent / ".." / path.parent.name / path.name


def relative(path: Path) -> Path:
    return Path(os.path.relpath(path))


def soft_link(path: Path) -> Path:
    link = path.with_name("soft")
    link.symlink_to(path.name)
    return link


def link_to_a_link(path: Path) -> Path:
    link = path.with_name("again")
    link.symlink_to(soft_link(path))
    return link


def hard_link(path: Path) -> Path:
    link = path.with_name("hard")
    link.hardlink_to(path)
    return link


def linked_folder(path: Path) -> Path:
    folder = path.parent / "folder"
    folder.symlink_to(path.parent)
    return folder / path.name


NAMES: list[Callable[[Path], Path]] = [
    same_name, through_the_parent, relative, soft_link, link_to_a_link, hard_link, linked_folder,
]  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", cats(10))


def listing(folder: Path) -> dict[str, bytes]:
    return {
        path.name: b"" if path.is_dir() else path.read_bytes() for path in sorted(folder.iterdir())
    }


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", ["data", "outputs", "inputs"])
def test_no_input_is_overwritten_under_any_of_its_names(
    what: str,
    name: Callable[[Path], Path],
    overwrite: bool,
    engine: Engine,
    string_check: dict[str, Any],
    data: Path,
    tmp_path: Path,
) -> None:
    other = write_rows(tmp_path / "other.jsonl", [{"output": f"cat{n}"} for n in range(10)])
    more: dict[str, Any] = {} if what == "data" else {what: other if what == "outputs" else [other]}
    out = name(data if what == "data" else other)
    before = listing(tmp_path)
    with pytest.raises(DataSetError, match="cannot be the results as well") as refusal:
        score_file(engine, string_check, data, out, overwrite=overwrite, **more)
    assert str(data if what == "data" else other) in str(refusal.value)
    assert listing(tmp_path) == before


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("ending", COMPANIONS)
@pytest.mark.parametrize("name", [same_name, soft_link, hard_link])
def test_no_input_is_overwritten_by_what_is_kept_next_to_the_results(
    name: Callable[[Path], Path],
    ending: str,
    overwrite: bool,
    engine: Engine,
    string_check: dict[str, Any],
    tmp_path: Path,
) -> None:
    data = write_rows(tmp_path / f"out.jsonl{ending}", cats(10))
    before = data.read_bytes()
    with pytest.raises(DataSetError, match="cannot be a file that is kept next to the results"):
        score_file(
            engine, string_check, name(data), tmp_path / "out.jsonl",
            form="jsonl", overwrite=overwrite,
        )  # fmt: skip
    assert data.read_bytes() == before
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.meta.json", ".graders.tmp"])
def test_no_input_is_overwritten_by_what_a_table_is_made_of(
    ending: str, engine: Engine, string_check: dict[str, Any], tmp_path: Path
) -> None:
    data = write_rows(tmp_path / f"out.parquet{ending}", cats(10))
    before = listing(tmp_path)
    with pytest.raises(DataSetError, match="is the data set itself"):
        score_file(
            engine, string_check, data, tmp_path / "out.parquet", form="jsonl", overwrite=True
        )
    assert listing(tmp_path) == before


FOREIGN = {
    ".meta.json": [b"my notes", b'{"item": {}, "model_sample": ""}\n', b"[]", b"\xff", b""],
    ".lock": [b"my notes"],
    ".index.sqlite": [b"my notes"],
    ".index.sqlite-wal": [b"my notes"],
    ".index.sqlite-shm": [b"my notes"],
    ".index.sqlite-journal": [b"my notes"],
}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("ending", "content"), [(ending, one) for ending, all_ in FOREIGN.items() for one in all_]
)
def test_a_file_of_others_next_to_the_results_is_never_replaced(
    ending: str,
    content: bytes,
    overwrite: bool,
    engine: Engine,
    string_check: dict[str, Any],
    data: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / f"out.jsonl{ending}").write_bytes(content)
    before = listing(tmp_path)
    with pytest.raises(DataSetError, match="a file that no run wrote is in its place"):
        score_file(engine, string_check, data, tmp_path / "out.jsonl", overwrite=overwrite)
    assert listing(tmp_path) == before


def test_the_database_of_another_program_is_not_taken_for_an_index(
    engine: Engine, string_check: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    import sqlite3

    out, index = tmp_path / "out.jsonl", tmp_path / "out.jsonl.index.sqlite"
    with sqlite3.connect(index) as database:
        database.execute("CREATE TABLE notes (text)")
    database.close()
    before = index.read_bytes()
    with pytest.raises(DataSetError, match="is the database of another program"):
        score_file(engine, string_check, data, out)
    assert index.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [index.name, data.name]


@pytest.mark.parametrize("ending", COMPANIONS)
@pytest.mark.parametrize("kind", ["folder", "pipe", "symbolic link"])
def test_what_is_no_file_in_the_place_of_a_companion_is_a_sentence_at_once(
    kind: str,
    ending: str,
    engine: Engine,
    string_check: dict[str, Any],
    data: Path,
    tmp_path: Path,
) -> None:
    place, notes = tmp_path / f"out.jsonl{ending}", tmp_path / "notes.txt"
    notes.write_text("my notes")
    if kind == "folder":
        place.mkdir()
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(notes)
    with pytest.raises(DataSetError, match=f"because a {kind} is in its place"):
        score_file(engine, string_check, data, tmp_path / "out.jsonl", overwrite=True)
    assert notes.read_text() == "my notes"
    assert {path.name for path in tmp_path.iterdir()} == {place.name, data.name, notes.name}


def test_a_file_that_the_user_gave_a_name_like_a_temporary_one_stays(
    engine: Engine, string_check: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    notes = tmp_path / "out.jsonl.tmp"
    notes.write_text("my notes")
    score_file(engine, string_check, data, tmp_path / "out.jsonl", retry_failed=True)
    assert notes.read_text() == "my notes"


def test_temporary_files_that_a_kill_has_left_are_gone_after_the_next_start(
    engine: Engine, string_check: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.parquet"
    for _ in range(2):  # a run that begins, and one that resumes
        for name in (out.name, "out.parquet.jsonl", "out.parquet.jsonl.meta.json"):
            (tmp_path / f"{name}.graders.tmp").write_bytes(b"half of it")
        (tmp_path / "out.parquet.jsonl.lock").touch()
        score_file(engine, string_check, data, out)
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "out.parquet", "out.parquet.jsonl", "out.parquet.jsonl.index.sqlite",
            "out.parquet.jsonl.meta.json", "rows.jsonl",
        ]  # fmt: skip


def test_a_table_that_no_run_wrote_is_replaced_only_if_that_is_asked_for(
    engine: Engine, string_check: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.parquet"
    out.write_bytes(b"my table")
    before = listing(tmp_path)
    with pytest.raises(DataSetError, match="pass --overwrite to start over"):
        score_file(engine, string_check, data, out)
    assert listing(tmp_path) == before
    for overwrite in (True, False):  # the second time it is this run's
        assert score_file(engine, string_check, data, out, overwrite=overwrite).rows == 10


def test_a_link_to_results_stays_a_link(
    engine: Engine, string_check: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    real, out = tmp_path / "real", tmp_path / "out.jsonl"
    out.symlink_to(real)
    score_file(engine, string_check, data, out)
    score_file(engine, string_check, data, out, retry_failed=True)
    assert out.is_symlink()
    assert len(results(real)) == 10


def test_what_is_said_names_both_files(
    engine: Engine, string_check: dict[str, Any], data: Path
) -> None:
    link = soft_link(data)
    with pytest.raises(DataSetError) as refusal:
        score_file(engine, string_check, data, link, overwrite=True)
    assert str(refusal.value) == (
        f"{link} is the data set itself ({data}): it cannot be the results as well. "
        "Write to another file."
    )
    assert json.loads(data.read_text().splitlines()[0])["model_sample"] == "cat0"
