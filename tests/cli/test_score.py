"""`graders score`: what its flags refuse, and what they show."""

from __future__ import annotations

import importlib.util
import json
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


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_its_workers_are_a_sentence(
    string_check: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    ended = score(string_check, data, tmp_path / "out.jsonl", "--backend", "ray")
    assert ended.exit_code == 1
    assert ended.stderr.startswith("Ray is not installed: pip install '.[ray]'")
