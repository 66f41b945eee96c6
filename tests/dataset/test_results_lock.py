"""One run at a time writes a results file, whatever happens to its lock file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from filelock import FileLock

from graders_engine import DataSetError
from graders_engine.dataset.results.file import ResultsFile
from graders_engine.dataset.results.line import ResultLine, encode_results

LINE = ResultLine(1, 1.0, "scored", {}, {}, 0.0)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def test_a_run_whose_lock_file_was_removed_still_keeps_others_out(out: Path) -> None:
    with ResultsFile(out, {}) as first:
        out.with_name(out.name + ".lock").unlink()
        with pytest.raises(DataSetError, match="Another run is writing"):
            ResultsFile(out, {"other": 1}, overwrite=True)
        first.replace([encode_results([LINE])])
        out.with_name(out.name + ".lock").unlink(missing_ok=True)
        with pytest.raises(DataSetError, match="Another run is writing"):
            ResultsFile(out, {"other": 1}, overwrite=True)
    assert out.read_bytes() == encode_results([LINE])


def test_a_run_of_a_version_that_locks_only_the_results_keeps_others_out(out: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    with out.open("a+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DataSetError, match="Another run is writing"):
            ResultsFile(out, {}, overwrite=True)


def test_results_that_are_not_a_regular_file_are_refused_with_a_sentence(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/null"), tmp_path):
        with pytest.raises(DataSetError, match="is not a regular file"):
            ResultsFile(path, {})
    with pytest.raises(DataSetError, match=r"cannot be written: .*: No such file or directory"):
        ResultsFile(tmp_path / "none" / "out.jsonl", {})


def test_the_lock_file_alone_keeps_others_out_where_files_cannot_be_locked(out: Path) -> None:
    link = out.with_name("link.jsonl")
    link.symlink_to(out)
    with FileLock(out.with_name(out.name + ".lock")):
        for path in (out, link):  # a link has the lock of the file that it refers to
            with pytest.raises(DataSetError, match="Another run is writing"):
                ResultsFile(path, {}, overwrite=True)
    assert not out.exists()
