"""What a command is to write is a regular file, and none that it reads; else there is a sentence."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import IO

import pytest
from click.testing import CliRunner, Result

from graders_engine.cli.main import graders
from tests.dataset.files import cats, write_rows

CHECK = json.dumps(
    {
        "type": "string_check", "name": "label", "operation": "eq",
        "input": "{{sample.output_text}}", "reference": "{{item.label}}",
    }
)  # fmt: skip
JUDGE = json.dumps(
    {
        "type": "score_model", "name": "judge", "model": "any",
        "input": [{"role": "user", "content": "{{sample.output_text}}"}],
    }
)  # fmt: skip
ROW = ["--item", '{"label": "cat0"}', "--model-sample", "cat0"]
JUDGED = ["run", "--grader", JUDGE, "--base-url", "http://127.0.0.1:9/v1", *ROW]
"""Fails at once: nothing listens there."""
SCORE = ["score", "--grader", CHECK, "--data", "rows.jsonl"]
EXPORT = {
    "eval": {
        "object": "eval", "id": "eval_1", "name": "first",
        "testing_criteria": [json.loads(CHECK)],
    },
    "item": {
        "object": "eval.run.output_item", "id": "item_1", "run_id": "run_1", "eval_id": "eval_1",
        "datasource_item": {"label": "a"}, "results": [],
        "sample": {"output": [{"role": "assistant", "content": "a"}]},
    },
}  # fmt: skip


def run(folder: Path, *arguments: str) -> Result:
    """Run a command in a folder; one that hangs meets the time limit of tests."""
    with chdir(folder):
        return CliRunner().invoke(graders, arguments)


def run_with_stdout(
    folder: Path, stdout: int | IO[str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "graders_engine", *arguments],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE,
        text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_rows(tmp_path / "rows.jsonl", cats(5))
    write_rows(tmp_path / "export.jsonl", list(EXPORT.values()))
    (tmp_path / "grader.json").write_text(CHECK)
    (tmp_path / "judge.json").write_text(JUDGE)
    return tmp_path


def listing(folder: Path) -> dict[str, bytes]:
    """Every file by its name, and its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


KINDS = ["folder", "pipe", "socket", "null", "full", "standard output", "links in a circle"]


@pytest.fixture(params=KINDS)
def odd(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """The name of an output that is no regular file."""
    place = folder / "odd.parquet"
    match request.param:
        case "folder":
            place.mkdir()
        case "pipe":
            os.mkfifo(place)
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(place))
                yield place.name
            return
        case "links in a circle":
            place.symlink_to(place)
        case _:
            yield {"null": "/dev/null", "full": "/dev/full"}.get(request.param, "/dev/stdout")
            return
    yield place.name


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]], ids=["", "overwrite"])
def test_results_are_refused_where_no_file_can_be(
    overwrite: list[str], odd: str, folder: Path
) -> None:
    before = listing(folder)
    ended = run(folder, *SCORE, "--out", odd, *overwrite)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.startswith("The results cannot be written: ")
    assert ended.stderr.count("\n") == 1
    assert listing(folder) == before


def test_results_are_not_written_to_standard_output_even_if_that_is_a_file(folder: Path) -> None:
    with (folder / "stdout").open("w") as stdout:
        before = listing(folder)
        for stream in (stdout, subprocess.PIPE):
            for name in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
                ended = run_with_stdout(folder, stream, *SCORE, "--out", name)
                assert ended.returncode == 1
                assert ended.stderr.startswith("The results cannot be written: ")
    assert listing(folder) == before
    assert not list(Path("/dev").glob("*.meta.json"))


def test_a_page_is_refused_where_no_file_can_be(odd: str, folder: Path) -> None:
    assert (
        run(folder, "score", "--grader", CHECK, "--data", "rows.jsonl", "--out", "r").exit_code == 0
    )
    before = listing(folder)
    ended = run(folder, "report", "r", "--out", odd)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.startswith("The report cannot be written: ")
    assert listing(folder) == before


def test_a_cache_and_a_transcript_are_refused_where_no_file_can_be(odd: str, folder: Path) -> None:
    before = listing(folder)
    ended = run(folder, *JUDGED, "--cache", odd)
    assert ended.exit_code == 1
    assert ended.stderr.startswith("The cache cannot be opened: ")
    assert listing(folder) == before


@pytest.mark.parametrize(
    "name",
    ["IMPORT.md", "first/grader-label.json", "first/run_1.rows.jsonl", "IMPORT.md.graders.tmp"],
)
def test_an_import_never_waits_for_a_pipe_in_the_place_of_a_file(name: str, folder: Path) -> None:
    place = folder / "evals" / name
    place.parent.mkdir(parents=True)
    os.mkfifo(place)
    ended = run(folder, "import", "evals", "export.jsonl", "--out", "evals")
    if name.endswith(".tmp"):  # a name that is ours
        assert ended.exit_code == 0, ended.stderr
    else:
        assert ended.exit_code == 1
        assert "is not a regular file, but a pipe" in ended.stderr
        assert place.is_fifo()


def test_an_import_overwrites_no_file_of_the_export(folder: Path) -> None:
    target = folder / "evals" / "first" / "grader-label.json"
    target.parent.mkdir(parents=True)
    for export in (target, target.parent / "run_1.rows.jsonl", folder / "evals" / "IMPORT.md"):
        export.write_bytes((folder / "export.jsonl").read_bytes())
        before = export.read_bytes()
        ended = run(folder, "import", "evals", str(export), "--out", "evals")
        assert ended.exit_code == 1
        assert "a file of the export itself" in ended.stderr
        assert export.read_bytes() == before


ASK = ["run", "--base-url", "http://127.0.0.1:9/v1", "--item", "{}"]
JUDGED_ROW = ["--grader", JUDGE, "--base-url", "http://127.0.0.1:9/v1"]


@pytest.mark.parametrize(
    ("kept", "content", "arguments"),
    [
        ("g", CHECK, "score --grader @g --data rows.jsonl --out g --overwrite"),
        ("x.meta.json", CHECK, "score --grader @x.meta.json --data rows.jsonl --out x --overwrite"),
        ("old.jsonl", CHECK, "diff-graders old.jsonl grader.json --data rows.jsonl --out-dir ."),
        ("new.jsonl", CHECK, "diff-graders grader.json new.jsonl --data rows.jsonl --out-dir ."),
        ("new.jsonl", "rows", "diff-graders grader.json grader.json --data new.jsonl --out-dir ."),
        ("old.jsonl.lock", CHECK, "diff-graders @old.jsonl.lock grader.json --data rows.jsonl --out-dir ."),
        ("g", JUDGE, [*ASK, "--grader", "@g", "--model-sample", "a", "--cache", "g"]),
        ("c-wal", JUDGE, [*ASK, "--grader", "@c-wal", "--model-sample", "a", "--cache", "c"]),
        ("transcript.jsonl", JUDGE,
         [*ASK, "--grader", "@transcript.jsonl", "--sample", "{}", "--record", "."]),
        ("c-journal", "{}", [*ASK, "--grader", JUDGE, "--sample", "@c-journal", "--cache", "c"]),
        ("c-shm", "", [*ASK, "--grader", JUDGE, "--sample", "{}", "--config", "c-shm", "--cache", "c"]),
        ("c-wal", "rows", ["explain", *JUDGED_ROW, "--data", "c-wal", "--row", "1", "--cache", "c"]),
        ("c-wal", "rows",
         ["judge-check", *JUDGED_ROW, "--data", "c-wal", "--human", "label", "--cache", "c"]),
        ("c-wal", "rows", ["score", *JUDGED_ROW, "--data", "c-wal", "--out", "o", "--cache", "c"]),
    ],
)  # fmt: skip
def test_no_command_overwrites_what_it_reads(
    kept: str, content: str, arguments: str | list[str], folder: Path
) -> None:
    (folder / kept).write_text(
        (folder / "rows.jsonl").read_text() if content == "rows" else content
    )
    before = listing(folder)
    ended = run(folder, *(arguments.split() if isinstance(arguments, str) else arguments))
    assert ended.exit_code == 1
    assert "as well. Write to another file." in ended.stderr
    assert listing(folder) == before


def test_a_grader_that_an_included_source_belongs_to_is_kept_as_well(folder: Path) -> None:
    (folder / "grade.py").write_text("def grade(sample, item): return 1.0\n")
    (folder / "python.json").write_text('{"type": "python", "source": "@grade.py"}')
    ended = run(
        folder, "score", "--grader", "@python.json", "--data", "rows.jsonl",
        "--out", "grade.py", "--overwrite", "--sandbox", "none",
    )  # fmt: skip
    assert ended.exit_code == 1
    assert "grade.py is an input of this command" in ended.stderr
    assert (folder / "grade.py").read_text().startswith("def grade")


def test_standard_input_is_an_input_under_its_name(folder: Path) -> None:
    rows = folder / "rows.jsonl"
    before = rows.read_bytes()
    with rows.open() as stdin:
        ended = subprocess.run(
            [
                sys.executable, "-m", "graders_engine", "score", "--grader", CHECK,
                "--data", "-", "--out", "rows.jsonl", "--overwrite",
            ],
            cwd=folder, stdin=stdin, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert ended.returncode == 1
    assert "rows.jsonl is the data set itself (-)" in ended.stderr
    assert rows.read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("score", "--grader", "-", "--data", "rows.jsonl", "--out", "g.json", "--overwrite"),
        ("run", "--grader", "-", "--item", "{}", "--model-sample", "x", "--cache", "g.json"),
    ],
)
def test_a_grader_on_standard_input_is_not_overwritten(
    arguments: tuple[str, ...], folder: Path
) -> None:
    grader = folder / "g.json"
    grader.write_text(CHECK)
    with grader.open() as stdin:
        ended = subprocess.run(
            [sys.executable, "-m", "graders_engine", *arguments],
            cwd=folder, stdin=stdin, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert ended.returncode == 1, ended
    assert grader.read_text() == CHECK


@pytest.mark.parametrize("name", ["meta.json", "index.sqlite", "lock", "index.sqlite-wal"])
def test_a_page_overwrites_no_file_of_the_run(name: str, folder: Path) -> None:
    assert (
        run(folder, "score", "--grader", CHECK, "--data", "rows.jsonl", "--out", "r").exit_code == 0
    )
    (folder / f"r.{name}").touch()
    before = listing(folder)
    ended = run(folder, "report", "r", "--out", f"r.{name}")
    assert ended.exit_code == 1
    assert "it cannot be the report as well" in ended.stderr
    assert run(folder, "report", "r", "--out", "rows.jsonl").exit_code == 1
    assert listing(folder) == before


def test_a_page_replaces_only_a_page(folder: Path) -> None:
    assert (
        run(folder, "score", "--grader", CHECK, "--data", "rows.jsonl", "--out", "r").exit_code == 0
    )
    page = folder / "r.html"
    page.write_text("my notes")
    for arguments in ((), ("--out", "r.html")):
        ended = run(folder, "report", "r", *arguments)
        assert ended.exit_code == 1
        assert "exists and is not a report" in ended.stderr
        assert page.read_text() == "my notes"
    page.unlink()
    assert run(folder, "report", "r", "--out", "r.html").exit_code == 0
    assert run(folder, "report", "r").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["score", "--grader", CHECK, "--data", "/dev/zero", "--out", "o"], "it is a device"),
        (["score", "--grader", CHECK, "--data", ".", "--out", "o"], "it is a folder"),
        (["score", "--grader", CHECK, "--data", "pipe", "--out", "o"], "it is a pipe"),
        (["score", "--grader", "@/dev/zero", "--data", "rows.jsonl", "--out", "o"], "longer than"),
        (["score", "--grader", "@.", "--data", "rows.jsonl", "--out", "o"], "is a directory"),
        (["run", "--grader", CHECK, "--model-sample", "@/dev/zero"], "longer than"),
        ([*JUDGED, "--config", "/dev/zero"], "longer than"),
        (["report", "."], "it is a folder"),
        (["report", "pipe"], "it is a pipe"),
        (["compare", "pipe", "rows.jsonl"], "it is a pipe"),
        (["explain", "pipe", "1"], "it is a pipe"),
    ],
)
def test_an_input_that_is_no_file_is_a_sentence(
    arguments: list[str], sentence: str, folder: Path
) -> None:
    os.mkfifo(folder / "pipe")
    before = listing(folder)
    ended = run(folder, *arguments)
    assert ended.exit_code in (1, 2)
    assert sentence in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert listing(folder) == before


@pytest.mark.parametrize("kilobytes", [1, 8], ids=["as the meta file fits", "as the index begins"])
def test_a_disk_that_is_full_at_the_beginning_leaves_no_file_behind(
    kilobytes: int, folder: Path
) -> None:
    (folder / "new").mkdir()
    limited = ["bash", "-c", f'ulimit -f {kilobytes}; exec "$@"', "bash"]
    ended = subprocess.run(
        [*limited, sys.executable, "-m", "graders_engine", *SCORE, "--out", "new/o"],
        cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "cannot be written" in ended.stderr
    assert not list((folder / "new").iterdir())
