"""Data that changes while it is scored is noticed: a sentence, and never a report that looks complete."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from graders_engine import DataSetError, Engine
from graders_engine.cli.main import graders
from graders_engine.dataset.scoring.score import score_file
from tests.dataset.files import cats, results, timeless, write_rows

ROWS = cats(2500, "x" * 60)
"""More than the first shard holds, so that there are rows left to score when the data changes."""
ROW = json.dumps(ROWS[0]) + "\n"


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(packed(path, ROW.encode()))


def truncate(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def change_in_place(path: Path) -> None:
    """As many bytes as before, but another row at the beginning and at the end."""
    content = path.read_bytes()
    with path.open("r+b") as file:
        file.write(packed_again(path, content, b'"label": "cat0"', b'"label": "dog0"'))


def change_and_set_the_time_back(path: Path) -> None:
    found = path.stat()
    change_in_place(path)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(packed_again(path, path.read_bytes(), b'"label": "cat0"', b'"label": "dog0"'))
    other.replace(path)


def remove(path: Path) -> None:
    path.unlink()


def packed(path: Path, content: bytes) -> bytes:
    return gzip.compress(content, 0, mtime=0) if path.suffix == ".gz" else content


def packed_again(path: Path, content: bytes, old: bytes, new: bytes) -> bytes:
    plain = gzip.decompress(content) if path.suffix == ".gz" else content
    return packed(path, plain.replace(old, new))


CHANGES: list[Callable[[Path], None]] = [
    grow, truncate, empty, change_in_place, change_and_set_the_time_back, replace, remove,
]  # fmt: skip


class Once:
    """An `on_progress` that does something to a file at the first call."""

    def __init__(self, change: Callable[[Path], object], path: Path) -> None:
        self.change, self.path, self.done = change, path, False

    def __call__(self, *_: object) -> None:
        if not self.done:
            self.done = True
            self.change(self.path)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def data_in(folder: Path, form: str) -> Path:
    path = write_rows(folder / "rows.jsonl", ROWS)
    if form == "gz":
        packed_path = folder / "rows.jsonl.gz"
        packed_path.write_bytes(packed(packed_path, path.read_bytes()))
        return packed_path
    return path


def meta_of(out: Path) -> Any:
    return json.loads(out.with_name(out.name + ".meta.json").read_text())


@pytest.mark.parametrize("form", ["jsonl", "gz"])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("change", CHANGES)
def test_data_that_changes_during_a_run_ends_it_with_a_sentence(
    change: Callable[[Path], None],
    workers: int,
    form: str,
    engine: Engine,
    string_check: dict[str, Any],
    tmp_path: Path,
    out: Path,
) -> None:
    data = data_in(tmp_path, form)
    on_progress = Once(change, data)
    with pytest.raises(DataSetError, match=data.name) as failure:
        score_file(engine, string_check, data, out, workers=workers, on_progress=on_progress)
    assert on_progress.done
    assert results(out)[0]["line"] == 1
    if "changed during the run" in str(failure.value):
        assert str(data) in meta_of(out)["data_changed"]
    else:  # it could not be read to its end
        assert "No such file" in str(failure.value)


@pytest.mark.parametrize("change", [grow, change_in_place, remove])
def test_outputs_that_change_during_a_run_end_it_as_well(
    change: Callable[[Path], None],
    engine: Engine,
    string_check: dict[str, Any],
    tmp_path: Path,
    out: Path,
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", [row["item"] for row in ROWS])
    outputs = write_rows(
        tmp_path / "outputs.jsonl",
        [{"label": row["model_sample"]} for row in ROWS],
    )
    with pytest.raises(DataSetError, match=r"changed during the run: .*outputs.jsonl"):
        score_file(
            engine, string_check, data, out,
            outputs=outputs, sample_field="label", on_progress=Once(change, outputs),
        )  # fmt: skip


def test_rows_that_wait_for_a_judge_are_watched_too(tmp_path: Path, out: Path) -> None:
    from graders_engine.models.scripted import Scripted

    grader = {
        "type": "score_model",
        "name": "judge",
        "model": "any",
        "input": [{"role": "user", "content": "{{sample.output_text}}"}],
    }
    data = write_rows(tmp_path / "rows.jsonl", cats(200))
    with (
        Engine(judges=Scripted(0.5)) as engine,
        pytest.raises(DataSetError, match="changed during the run"),
    ):
        score_file(engine, grader, data, out, on_progress=Once(grow, data))


def hard_link(path: Path) -> None:
    path.with_name("link").hardlink_to(path)


def rewrite(path: Path) -> None:
    path.write_bytes(path.read_bytes())


def replace_by_a_copy(path: Path) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)


@pytest.mark.parametrize("form", ["jsonl", "gz"])
@pytest.mark.parametrize("change", [hard_link, rewrite, replace_by_a_copy, Path.touch])
def test_data_that_holds_the_same_rows_at_the_end_is_no_reason_to_stop(
    change: Callable[[Path], None],
    form: str,
    engine: Engine,
    string_check: dict[str, Any],
    tmp_path: Path,
    out: Path,
) -> None:
    data = data_in(tmp_path, form)
    tally = score_file(engine, string_check, data, out, on_progress=Once(change, data))
    assert tally.rows == len(ROWS)
    assert "data_changed" not in meta_of(out)


def test_a_run_over_data_that_changed_resumes_only_when_the_data_is_back(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    data = data_in(tmp_path, "jsonl")
    before = data.read_bytes()
    score_file(engine, string_check, data, tmp_path / "whole.jsonl")
    with pytest.raises(DataSetError, match="changed during the run"):
        score_file(engine, string_check, data, out, workers=1, on_progress=Once(grow, data))
    with pytest.raises(DataSetError, match="another run: other data"):
        score_file(engine, string_check, data, out)
    data.write_bytes(before)
    assert score_file(engine, string_check, data, out).rows == len(ROWS)
    assert "data_changed" not in meta_of(out)
    assert timeless(out) == timeless(tmp_path / "whole.jsonl")


def test_a_table_is_not_made_of_results_whose_data_changed(
    engine: Engine, string_check: dict[str, Any], tmp_path: Path
) -> None:
    data, out = data_in(tmp_path, "jsonl"), tmp_path / "out.parquet"
    with pytest.raises(DataSetError, match=r"The results in .*out.parquet.jsonl are kept"):
        score_file(engine, string_check, data, out, on_progress=Once(truncate, data))
    assert not out.exists()


SCORE = """
import sys
from graders_engine.dataset.scoring import run
from graders_engine.cli.main import main

data = sys.argv.pop()
report = run.ScoringRun.check_data
def check_data(self):
    open(data, "ab").write(b"\\n{}")
    report(self)
run.ScoringRun.check_data = check_data
main()
"""


@pytest.mark.parametrize("piped", [False, True], ids=["by name", "on standard input"])
def test_the_command_prints_no_report_of_data_that_changed(
    piped: bool, string_check: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", cats(20))
    named = ["-" if piped else str(data)]
    with data.open() as stdin:
        ended = subprocess.run(
            [
                sys.executable, "-c", SCORE, "score", "--grader", json.dumps(string_check),
                "--out", str(out), "--data", *named, str(data),
            ],
            stdin=stdin if piped else subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"The data changed during the run: {named[0]} has 3 bytes more")
    assert len(results(out)) == 20
    for command, code in ((["report", str(out)], 0), (["compare", str(out), str(out)], 1)):
        later = CliRunner().invoke(graders, command)
        assert later.exit_code == code
        assert "The data changed during the run" in later.output
    assert "The data changed during the run" in out.with_name("out.jsonl.html").read_text()


def test_a_pipe_is_scored_as_before(
    string_check: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", cats(20)).read_bytes()
    score = [
        sys.executable, "-m", "graders_engine", "score", "--grader", json.dumps(string_check),
        "--out", str(out), "--quiet", "--data", "-",
    ]  # fmt: skip
    for content in (rows, gzip.compress(rows)):
        subprocess.run([*score, "--overwrite"], input=content, check=True, timeout=60)
        assert len(results(out)) == 20


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_a_name_that_means_another_file_to_each_process_is_read_by_one(
    string_check: dict[str, Any], tmp_path: Path, out: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", cats(30_000, "x" * 150))
    with data.open() as stdin:
        subprocess.run(
            [
                sys.executable, "-m", "graders_engine", "score", "--grader", json.dumps(string_check),
                "--out", str(out), "--quiet", "--workers", "2", "--data", "/dev/stdin",
            ],
            stdin=stdin, check=True, timeout=120,
        )  # fmt: skip
    assert len(results(out)) == 30_000
