"""`graders score`: what its flags refuse, and what they show."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graders_engine.cli.main import graders
from tests.dataset.files import cats, write_rows


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", cats(3))


def score(grader: Any, data: Path | str, out: Path, *more: str, stdin: str = "") -> Result:
    given = grader if isinstance(grader, str) else json.dumps(grader)
    arguments = ["score", "--grader", given, "--data", str(data), "--out", str(out), *more]
    return CliRunner().invoke(graders, arguments, input=stdin)


def test_a_row_is_explained_at_the_end(
    string_check: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    for out in (tmp_path / "out.jsonl", tmp_path / "out.parquet"):
        ended = score(string_check, data, out, "--explain", "2")
        assert ended.exit_code == 0
        assert ended.stdout.index("mean reward") < ended.stdout.index('item.label = "cat1"')
        quiet = score(string_check, data, out, "--explain", "2", "--quiet")
        assert quiet.stdout.startswith("line 2\n")


def test_a_row_that_is_not_there_cannot_be_explained(
    string_check: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    ended = score(string_check, data, tmp_path / "out.jsonl", "--explain", "4")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr == f"--explain 4: {data} has no row on line 4.\n"


@pytest.mark.parametrize(
    ("grader", "more", "refusal"),
    [
        ("-", [], "The grader and the rows cannot both come from standard input."),
        (
            "{}",
            ["--explain", "1"],
            "--explain reads the row again, which is impossible with standard input",
        ),
        ("{}", ["--retry-failed"], "The grader has"),
    ],
)
def test_what_standard_input_cannot_do_is_said(
    grader: str, more: list[str], refusal: str, tmp_path: Path
) -> None:
    ended = score(grader, "-", tmp_path / "out.jsonl", *more, stdin="{}")
    assert ended.exit_code == 2
    assert ended.stderr.startswith(refusal)
    assert not list(tmp_path.iterdir())


def test_without_ray_its_workers_are_a_sentence(
    string_check: dict[str, Any], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as where it is not installed
    for more in (["--backend", "ray"], ["--ray-address", "auto"], ["--ray-cpus", "2"]):
        ended = score(string_check, data, tmp_path / "out.jsonl", *more)
        assert ended.exit_code == 2
        assert ended.stderr.startswith("Ray is not installed: pip install '.[ray]'")
        assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("options", "file", "refusal"),
    [
        ("--backend local --ray-address auto", "", "--ray-address is for --backend ray: leave out"),
        ("--backend local --runtime-env e.json", "{}", "--runtime-env is for --backend ray: leave"),
        ("--ray-resource gpu", "", "--ray-resource gpu: write NAME=N."),
        ("--ray-resource gpu=many", "", "--ray-resource gpu=many: write NAME=N, as in gpu=1."),
        ("--ray-resource gpu=-1", "", "A worker needs more than 0 of gpu, but it is -1."),
        ("--runtime-env e.json", "[1]", "e.json: a runtime environment is a JSON object."),
        ("--runtime-env e.json", '{"evn_vars": {"A": "hunter-23"}}', "e.json: a runtime environment has no"),
        ("--runtime-env e.json", '{"env_vars": {"A": 23}}', "e.json: `env_vars` is a JSON object whose"),
        ("--runtime-env e.json", '{"env_vars": {"A": "hunter-23"', "e.json is not JSON: it ends too early"),
        ("--runtime-env e.json", '{"pip": [], "pip": []}', "e.json: a key is in it twice."),
        ("--ray-cpus 2 --jobs .", "", "--jobs has models of this machine asked"),
    ],
)  # fmt: skip
def test_wrong_options_of_a_cluster_are_a_sentence(
    options: str, file: str, refusal: str, string_check: dict[str, Any], data: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("e.json").write_text(file)
    ended = score(string_check, data, Path("out.jsonl"), *options.split())
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.startswith(refusal)
    assert ended.stderr.count("\n") == 1
    assert "hunter" not in ended.stderr
    assert not Path("out.jsonl").exists()
