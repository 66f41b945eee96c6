"""Options are given by environment variables, and colours are chosen by them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from graders_engine.cli import main as cli
from tests.cli.test_command_line import CHECK

ROWS = '{"item": {}, "model_sample": "cat"}\n{"item": {}, "model_sample": "dog"}\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "check.yaml").write_text(CHECK)
    (tmp_path / "rows.jsonl").write_text(ROWS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def graders(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(cli.graders, list(arguments), env=variables)


def test_every_option_of_a_command_can_be_given_by_a_variable(folder: Path) -> None:
    ended = graders(
        "score",
        GRADERS_SCORE_GRADER="@check.yaml",
        GRADERS_SCORE_DATA="rows.jsonl",
        GRADERS_SCORE_OUT="out.jsonl",
        GRADERS_SCORE_FORMAT="jsonl",
        GRADERS_SCORE_QUIET="1",
    )
    assert (ended.exit_code, ended.stdout) == (0, ""), ended.stderr
    assert len((folder / "out.jsonl").read_text().splitlines()) == 2


def test_an_option_of_judges_metrics_or_the_sandbox_has_a_variable_for_all_commands(
    folder: Path,
) -> None:
    for command in ("run", "validate"):
        ended = graders(command, "check.yaml", "--model-sample", "x", GRADERS_SANDBOX="nosuch")
        if command == "validate":
            ended = graders(command, "check.yaml", GRADERS_SANDBOX="nosuch")
        assert ended.exit_code == 2
        assert "--sandbox is given by the variable GRADERS_SANDBOX." in ended.stderr
    ended = graders("validate", "check.yaml", GRADERS_VALIDATE_SANDBOX="none", GRADERS_SANDBOX="x")
    assert ended.exit_code == 0, ended.stderr


def test_the_command_line_goes_before_a_variable(folder: Path) -> None:
    arguments = ("run", "check.yaml", "--model-sample", "cat", "--field", "reward")
    ended = graders(*arguments, GRADERS_RUN_MODEL_SAMPLE="dog", GRADERS_RUN_GRADER="@no.yaml")
    assert ended.stdout == "1.0\n"


def test_several_values_are_separated_by_blanks(folder: Path) -> None:
    ended = graders("run", "check.yaml", "--model-sample", "x", GRADERS_LIMIT="wall_s=1 cpus=zz")
    assert "--limit cpus=zz: 'zz' is not a number of this kind." in ended.stderr
    assert "--limit is given by the variable GRADERS_LIMIT." in ended.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GRADERS_SCORE_WORKERS", "many"),
        ("GRADERS_SCORE_OVERWRITE", "perhaps"),
        ("GRADERS_SCORE_SHAPE", "round"),
        ("GRADERS_CONCURRENCY", "0"),
        ("GRADERS_VARIANT", "bleu"),
    ],
)
def test_a_wrong_value_names_its_variable(variable: str, value: str, folder: Path) -> None:
    ended = graders(
        "score", "check.yaml", "--data", "rows.jsonl", "--out", "o", **{variable: value}
    )
    assert ended.exit_code == 2
    assert f"is given by the variable {variable}." in ended.stderr


def test_variables_with_another_meaning_are_no_options(folder: Path) -> None:
    variables = {
        "GRADERS_DATA": "images", "GRADERS_CACHE": str(folder / "c.sqlite"), "GRADERS_VERSION": "1",
        "GRADERS_HELP": "1", "GRADERS_RUN_HELP": "1", "GRADERS_API_KEY": "secret",
    }  # fmt: skip
    ended = graders("run", "check.yaml", "--model-sample", "cat", "--field", "reward", **variables)
    assert ended.stdout == "1.0\n"
    assert not (folder / "c.sqlite").exists()


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("GRADERS_VALIDATE_JSN", " Did you mean GRADERS_VALIDATE_JSON?"),
        ("GRADERS_VALIDATE_COLOUR", ""),
        ("GRADERS_SANDBX", " Did you mean GRADERS_SANDBOX?"),
        ("GRADERS_BASEURL", " Did you mean GRADERS_BASE_URL?"),
    ],
)
def test_a_misspelt_variable_is_warned_of_once(variable: str, meant: str, folder: Path) -> None:
    ended = graders("validate", "check.yaml", **{variable: "1"})
    sentence = f"warning: the variable {variable} belongs to no option of this command.{meant}\n"
    assert (ended.exit_code, ended.stderr) == (0, sentence)


def test_variables_of_other_programs_and_commands_are_not_warned_of(folder: Path) -> None:
    names = (
        "GRADERS_TESTS_ONLINE", "GRADERS_LEAK_CALLS", "GRADERS_JUDGED_ROWS", "GRADERS_SECRET",
        "GRADERS_SCORE_QUIET", "GRADERS_SCORE_QUITE", "GRADERS_MAX_COST", "GRADERS_CACHE", "GRADER",
    )  # fmt: skip
    for command in (["validate", "check.yaml"], ["schema"]):
        ended = graders(*command, **dict.fromkeys(names, "1"))
        assert (ended.exit_code, ended.stderr) == (0, "")


def test_graded_code_sees_no_variable(folder: Path) -> None:
    (folder / "g.py").write_text("import os\ndef grade(s, i): return float(len(os.environ))\n")
    ended = graders(
        "run", "g.py", "--field", "reward", GRADERS_RUN_MODEL_SAMPLE="x", GRADERS_JUDGE_MODEL="m"
    )
    bare = graders("run", "g.py", "--field", "reward", "--model-sample", "x")
    assert ended.stdout == bare.stdout != ""


def shown(folder: Path, *arguments: str, terminal: bool, **variables: str) -> str:
    """What a command prints on a terminal, or in a pipe."""
    import pty

    ignored = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE")
    env = {key: value for key, value in os.environ.items() if key not in ignored}
    ours, theirs = pty.openpty() if terminal else os.pipe()
    subprocess.run(
        [sys.executable, "-m", "graders_engine", *arguments],
        cwd=folder, env={**env, "TERM": "xterm", **variables}, stdin=subprocess.DEVNULL,
        stdout=theirs, stderr=theirs, check=False, timeout=60,
    )  # fmt: skip
    text = os.read(ours, 1 << 20).decode()
    os.close(ours)
    os.close(theirs)
    return text


COLORED = ["score", "check.yaml", "--data", "rows.jsonl", "--out", "o.jsonl", "--overwrite"]
ERROR = ["validate", "no.yaml"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(
    ("variables", "terminal", "colored"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"CLICOLOR_FORCE": "1"}, False, True),
        ({"TERM": "dumb"}, True, False),
    ],
    ids=str,
)
def test_colours_follow_the_environment_and_the_terminal(
    variables: dict[str, str], terminal: bool, colored: bool, folder: Path
) -> None:
    for arguments in (COLORED, ERROR):
        text = shown(folder, *arguments, terminal=terminal, **variables)
        assert ("\x1b[1m" in text or "\x1b[31m" in text) == colored, text


def test_json_is_never_coloured(folder: Path) -> None:
    assert graders(*COLORED, "--quiet").exit_code == 0
    for arguments in (
        ["report", "o.jsonl", "--json"],
        ["explain", "o.jsonl", "1", "--json"],
        ["validate", "check.yaml", "--json"],
        ["cache", "info", "--json"],
        ["run", "check.yaml", "--model-sample", "x"],
    ):
        text = shown(folder, *arguments, terminal=False, FORCE_COLOR="1")
        assert isinstance(json.loads(text), dict)
