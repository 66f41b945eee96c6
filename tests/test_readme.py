"""Every block of the README runs, and prints what the README shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from graders_engine.models.config import read_config

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
END = "end of the block"
TEST_COMMAND = "sh .ci/install '[test]' && .venv/bin/pytest -n auto\n"


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What a user has after `git clone`: the tracked files."""
    folder = tmp_path / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def pasted(language: str, text: str) -> str:
    """What a block is for a shell; empty for one that only shows something."""
    if language == "sh":
        # What it installs is another test's, and the tests are these: they would run themselves.
        return "" if text == TEST_COMMAND else text
    if language == "console":
        command = text.partition("\n")[0].removeprefix("$ ")
        return f"{command} || true\n"  # it shows mistakes, which end no shell that people type in
    if language == "python":
        return f"python -W error - << 'PYTHON'\n{text}PYTHON\n"
    return ""


def expected(language: str, text: str) -> str:
    """What a block prints, as far as the README shows it."""
    if language == "console":
        return text.partition("\n")[2]
    if language == "python":
        return "".join(
            f"{line}\n" for line in re.findall(r"print\(.*\)  # (.*)$", text, re.MULTILINE)
        )
    return ""


@pytest.mark.long
def test_every_block_works_when_pasted_after_those_above_it(clone: Path) -> None:
    """In one clean shell; only the first blocks may install, from the index."""
    script = "set -eo pipefail\n" + "".join(
        f"{pasted(*block)}\nprintf '{END}\\n'\n" for block in BLOCKS if pasted(*block)
    )
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
        and not name.startswith("GRADERS_")
    }
    outside = [part for part in os.environ["PATH"].split(os.pathsep) if ".venv" not in part]
    environment |= {
        "PATH": os.pathsep.join(outside),
        "PYTHON": sys.executable,
        "GRADERS_TESTS_ONLINE": "1",
    }
    ended = subprocess.run(
        ["bash", "-c", script], cwd=clone, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout
    printed = ended.stdout.split(f"{END}\n")[:-1]
    blocks_pasted = [block for block in BLOCKS if pasted(*block)]
    assert len(printed) == len(blocks_pasted)
    assert printed[0].strip().endswith(blocks("text")[0].strip())
    for block, output in zip(blocks_pasted, printed, strict=True):
        assert expected(*block).strip() in output, block[1]
        if block[0] == "sh" and block != blocks_pasted[0]:
            assert output.splitlines()[-1] == "1.0"  # pip may have warned before
    assert len((clone / "results.jsonl").read_text(encoding="utf-8").splitlines()) == 200
    left = subprocess.run(
        ["git", "status", "--short"], cwd=clone, capture_output=True, text=True, check=True
    )
    assert not [line for line in left.stdout.splitlines() if line.startswith("??")]


def test_the_second_command_is_the_one_that_ci_runs() -> None:
    assert blocks("sh")[1] == TEST_COMMAND
    assert TEST_COMMAND in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_settings_that_are_shown_can_be_read(tmp_path: Path) -> None:
    (text,) = blocks("toml")
    (tmp_path / "graders.toml").write_text(text, encoding="utf-8")
    config = read_config(tmp_path / "graders.toml")
    assert list(config.endpoints) == ["local"]
    assert config.models == {"gpt-4o-2024-08-06": "qwen3:8b@local"}
    assert config.prices["qwen3:8b"].input == 0.1


def test_the_readme_stays_short() -> None:
    assert len(README.splitlines()) < 270


def test_every_room_is_in_the_readme() -> None:
    package = ROOT / "graders_engine"
    rooms = {
        path.name for path in package.iterdir() if path.is_dir() and (path / "__init__.py").exists()
    }
    assert all(f"`{room}/`" in README for room in rooms)
