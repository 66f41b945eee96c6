"""Commands started in odd surroundings: they work, or say in one sentence what is missing. No traceback."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from graders_engine.cli.terminal import failing
from tests.environment import unmeasured

PYTHON = {
    "type": "python",
    "source": "def grade(s, item):\n    print('hi')\n    return float(s['output_text'] == item['a'])",
}
CHECK = {
    "type": "string_check",
    "input": "{{sample.output_text}}",
    "reference": "{{item.a}}",
    "operation": "eq",
}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the surroundings are Linux's")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "python.json").write_text(json.dumps(PYTHON))
    (tmp_path / "check.json").write_text(json.dumps(CHECK))
    row = {"item": {"a": "é"}, "model_sample": "é"}
    (tmp_path / "rows.jsonl").write_text((json.dumps(row, ensure_ascii=False) + "\n") * 3)
    return tmp_path


G = f"{sys.executable} -m graders_engine"
COMMANDS = {
    "run": f"{G} run --grader @python.json --model-sample é --item '{{a: é}}' --sandbox none",
    "score": f"{G} score --grader @python.json --data rows.jsonl --out out.jsonl --sandbox none",
    "validate": f"{G} validate --grader @check.json",
}
each_command = pytest.mark.parametrize("command", COMMANDS)


def shell(
    folder: Path,
    text: str,
    variables: dict[str, str] | None = None,
    before: Callable[[], None] | None = None,
) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        ["bash", "-c", text],
        cwd=folder, env={**unmeasured(), **(variables or {})}, preexec_fn=before,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    for words in ("Traceback", "Exception ignored", "Fatal Python"):
        assert words not in ended.stderr
    return ended


def results(folder: Path) -> list[float]:
    lines = (folder / "out.jsonl").read_text().splitlines()
    return [json.loads(line)["reward"] for line in lines]


@each_command
@pytest.mark.parametrize("stdout", [">&-", ">/dev/full", "<&- >&- 2>&-", ">/dev/full 2>&1"])
def test_output_that_cannot_be_written_is_an_error(stdout: str, command: str, folder: Path) -> None:
    ended = shell(folder, f"{{ {COMMANDS[command]}; }} {stdout}")
    assert ended.returncode == 1
    if "2>" not in stdout:
        [sentence] = [line for line in ended.stderr.splitlines() if not line.startswith("warning")]
        assert sentence.startswith("graders: standard output: ")
    if command.startswith(
        "score"
    ):  # and a file that the command opened was not taken for the output
        assert results(folder) == [1.0] * 3


@each_command
@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full", "<&-"])
def test_messages_that_nobody_can_read_do_not_matter(
    stderr: str, command: str, folder: Path
) -> None:
    ended = shell(folder, f"{{ {COMMANDS[command]}; }} {stderr}")
    assert ended.returncode == 0
    assert ended.stdout
    if command.startswith("score"):
        assert results(folder) == [1.0] * 3


@each_command
def test_a_reader_that_goes_away_ends_a_command_quietly(command: str, folder: Path) -> None:
    ended = shell(folder, f"{{ {COMMANDS[command]}; }} | true")
    assert "graders" not in ended.stderr.replace("graders run without a sandbox", "")


def ignore_and_block() -> None:
    for name in ("SIGCHLD", "SIGPIPE", "SIGINT", "SIGHUP", "SIGTERM", "SIGALRM"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM, signal.SIGXCPU})


@pytest.mark.parametrize("sandbox", ["none", "auto"])
def test_signals_that_the_parent_ignores_or_blocks_change_nothing(
    sandbox: str, folder: Path
) -> None:
    command = COMMANDS["score"].replace("none", sandbox)
    ended = shell(folder, command, before=ignore_and_block)
    assert ended.returncode == 0, ended.stderr
    assert results(folder) == [1.0] * 3


IN_THE_LIBRARY = """
import signal, sys
from graders_engine import Engine
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM})
source = '''
import signal, subprocess, sys
def grade(sample, item):
    if signal.getsignal(signal.SIGCHLD) != signal.SIG_DFL or signal.pthread_sigmask(0, ()):
        return 0.0
    return 1.0
'''
with Engine(sandbox=sys.argv[1]) as engine:
    answer = engine.run({"type": "python", "source": source}, model_sample="x")
print(answer.reward, answer.flags)
"""


@pytest.mark.parametrize("sandbox", ["none", "auto"])
def test_a_grader_does_not_see_which_signals_the_library_s_process_ignores(
    sandbox: str, folder: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", IN_THE_LIBRARY, sandbox], capture_output=True, text=True, timeout=60
    )
    assert ended.stdout == "1.0 {}\n", ended.stderr


@pytest.mark.parametrize("descriptors", [64, 201])
def test_few_descriptors_are_enough(descriptors: int, folder: Path) -> None:
    ended = shell(folder, f"ulimit -n {descriptors}; {COMMANDS['score']}")
    assert ended.returncode == 0, ended.stderr
    assert results(folder) == [1.0] * 3


def test_too_few_descriptors_are_named(folder: Path) -> None:
    ended = shell(folder, f"ulimit -n 10; {COMMANDS['run']}")
    assert "`ulimit -n`" in ended.stderr


def test_a_limit_on_the_size_of_files_is_named(folder: Path) -> None:
    ended = shell(folder, f"ulimit -f 0; {COMMANDS['score']}")
    assert ended.returncode == 1
    assert "File too large" in ended.stderr


@pytest.mark.parametrize(
    "variables",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"HOME": "/proc"},
        {"TMPDIR": "/nonexistent"},
        {"PYTHONOPTIMIZE": "2", "PYTHONHASHSEED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        {"PYTHONDEVMODE": "1", "PYTHONWARNINGS": "error", "PYTHONMALLOC": "debug"},
        {"COLUMNS": "0", "TERM": "dumb", "NO_COLOR": "1"},
        {"COLUMNS": "100000"},
    ],
    ids=lambda variables: " ".join(variables),
)
def test_the_environment_does_not_matter(variables: dict[str, str], folder: Path) -> None:
    ended = shell(folder, COMMANDS["score"], variables)
    assert ended.returncode == 0, ended.stderr
    assert results(folder) == [1.0] * 3


def test_warnings_that_are_logged_are_as_wide_as_the_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("LINES", raising=False)
    with failing.logged_warnings():
        logging.getLogger("graders_engine.models").warning("requests for %s", "word " * 40)
    lines = capsys.readouterr().err.splitlines()
    assert " ".join(" ".join(lines).split()) == "requests for" + " word" * 40
    assert len(lines) > 2
    assert max(map(len, lines)) <= 80
