"""Every block of the README runs, and prints what the README shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
TEST_COMMAND = "sh .ci/install '[test]' && .venv/bin/pytest -n auto\n"


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a user has after `git clone`: the tracked files."""
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def shell(script: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a script where `graders` is the command under test."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHON": sys.executable, **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def test_the_first_command_prints_what_the_readme_shows(clone: Path) -> None:
    ended = shell(blocks("sh")[0], clone, GRADERS_TESTS_ONLINE="1")  # it installs packages
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == blocks("text")[0].strip()
    assert len((clone / "results.jsonl").read_text(encoding="utf-8").splitlines()) == 200


def test_the_second_command_is_the_one_that_ci_runs() -> None:
    assert blocks("sh")[1] == TEST_COMMAND
    assert TEST_COMMAND in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", blocks("sh")[2:])
def test_shell_blocks_run(script: str, clone: Path) -> None:
    ended = shell(script, clone)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "1.0\n"


@pytest.mark.parametrize("session", blocks("console"))
def test_sessions_print_the_output_in_the_readme(session: str, clone: Path) -> None:
    command, _, output = session.partition("\n")
    ended = shell(command.removeprefix("$ "), clone)
    assert (ended.stdout + ended.stderr).strip() == output.strip()


@pytest.mark.parametrize("program", blocks("python"))
def test_python_blocks_print_what_their_comments_say(program: str, clone: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=clone,
        capture_output=True,
        text=True,
        check=True,
    )
    printed = ended.stdout.splitlines()
    commented = re.findall(r"print\(.*\)  # (.*)$", program, re.MULTILINE)
    assert printed[: len(commented)] == commented


def test_the_readme_stays_short() -> None:
    assert len(README.splitlines()) < 270


def test_every_room_is_in_the_readme() -> None:
    package = ROOT / "graders_engine"
    rooms = {
        path.name for path in package.iterdir() if path.is_dir() and (path / "__init__.py").exists()
    }
    assert all(f"`{room}/`" in README for room in rooms)
