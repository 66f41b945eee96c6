"""The grader of a command: an argument or an option, a file of JSON, YAML or Python, or a text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from graders_engine.cli import main as cli
from tests.cli.test_command_line import CHECK, graders


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "g.py").write_text("def grade(sample, item):\n    return 1.0\n")
    (tmp_path / "item.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", ["run", "validate", "score", "judge-check", "diff-graders"])
def test_a_grader_is_an_argument_too(command: str, folder: Path) -> None:
    (folder / "check.yaml").write_text(CHECK)
    (folder / "rows.jsonl").write_text('{"item": {"human": 1}, "model_sample": "cat"}\n')
    more = {
        "run": ["--model-sample", "cat"],
        "score": ["--data", "rows.jsonl", "--out", "o.jsonl"],
        "judge-check": ["--data", "rows.jsonl", "--human", "human"],
        "diff-graders": ["check.yaml", "--data", "rows.jsonl"],
    }.get(command, [])
    for grader in ("check.yaml", "@check.yaml", CHECK):
        ended = CliRunner().invoke(cli.graders, [command, grader, *more])
        assert ended.exit_code == 0, ended.stderr
    ended = CliRunner().invoke(cli.graders, [command, "chek.yaml", *more])
    assert ended.exit_code == 2
    assert "chek.yaml: there is no such file, and it is not a grader." in ended.stderr


def test_a_second_grader_is_refused(folder: Path) -> None:
    ended = CliRunner().invoke(cli.graders, ["validate", "--grader", CHECK, "item.json"])
    assert ended.exit_code == 2
    assert "Unexpected argument 'item.json': the grader is given by --grader." in ended.stderr
    ended = CliRunner().invoke(cli.graders, ["score", "--data", "x", "--out", "y"])
    assert "The grader is missing: name its file, or pass --grader." in ended.stderr


@pytest.mark.parametrize("arguments", [["--grader", "@g.py"], ["g.py"], ["@g.py"]], ids=" ".join)
def test_a_python_file_is_a_python_grader(arguments: list[str], folder: Path) -> None:
    ended = CliRunner().invoke(cli.graders, ["validate", *arguments])
    assert ended.exit_code == 0, ended.stderr
    grader = json.loads(ended.stdout)["grader"]
    assert (grader["type"], grader["source"]) == ("python", (folder / "g.py").read_text())


def test_python_source_elsewhere_is_told_where_it_belongs(folder: Path) -> None:
    source = (folder / "g.py").read_text()
    (folder / "g.txt").write_text(source)
    for arguments in (["--grader", source], ["g.txt"]):
        ended = CliRunner().invoke(cli.graders, ["validate", *arguments])
        assert ended.exit_code == 2
        assert (
            "this is Python source. Save it as FILE.py and pass --grader @FILE.py" in ended.stderr
        )
    assert (
        "(standard input): this is Python"
        in graders("validate", "--grader", "-", stdin=source).stderr
    )


def test_text_that_looks_like_the_name_of_a_file_is_noted(folder: Path) -> None:
    arguments = ["run", "--grader", CHECK, "--field", "reward"]
    ended = CliRunner().invoke(
        cli.graders, [*arguments, "--model-sample", "@typo", "--item", "{a: '@joe', b: '\\@ann'}"]
    )
    assert ended.stdout == "0.0\n"
    assert sorted(ended.stderr.splitlines()) == [
        "note: there is no file 'joe', so '@joe' is kept as text.",
        "note: there is no file 'typo', so '@typo' is kept as text.",
    ]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("check.yml", "check.yaml"),
        ("chek.yaml", "check.yaml"),
        ("sub/grader.yaml", "sub/grader.json"),
        ("zzz.yaml", ""),
        ("no/check.yaml", ""),
    ],
)
def test_a_file_that_is_not_there_is_offered_the_one_beside_it(
    given: str, meant: str, folder: Path
) -> None:
    (folder / "check.yaml").write_text(CHECK)
    (folder / "sub").mkdir()
    (folder / "sub" / "grader.json").write_text("{}")
    ended = CliRunner().invoke(cli.graders, ["validate", given])
    assert ended.exit_code == 2
    assert ("Did you mean" in ended.stderr) is bool(meant)
    assert not meant or f"Did you mean {meant}?" in ended.stderr


@pytest.mark.parametrize("command", ["validate", "run", "score"])
def test_a_command_without_its_grader_says_how_to_name_one(command: str, folder: Path) -> None:
    ended = CliRunner().invoke(cli.graders, [command])
    assert ended.exit_code == 2
    assert "The grader is missing: name its file, or pass --grader" in ended.stderr
