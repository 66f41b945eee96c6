"""Every block of the README runs, and prints what the README shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guides.blocks import blocks_of, require_valid, run_blocks

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEST_COMMAND = "sh .ci/install '[test]' && .venv/bin/pytest -n auto\n"


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


@pytest.mark.long
@pytest.mark.timeout(900)  # it installs from the index, beside whatever else this machine does
def test_every_block_works_when_pasted_after_those_above_it(clone: Path) -> None:
    """In one clean shell, where blocks that install may use the network; the tests would run themselves."""
    outside = [part for part in os.environ["PATH"].split(os.pathsep) if ".venv" not in part]
    environment = {
        "PATH": os.pathsep.join(outside),
        "PYTHON": sys.executable,
        "PYTHONPATH": "",
        "HOME": os.environ.get("HOME", ""),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_QUIET": "2",  # its warnings are about this machine
        "GRADERS_TESTS_ONLINE": "1",
    }
    run_blocks(README.replace(TEST_COMMAND, ":\n"), clone, environment)
    assert len((clone / "results.jsonl").read_text(encoding="utf-8").splitlines()) == 200
    assert (clone / "try" / "arithmetic.jsonl.html").is_file()
    left = subprocess.run(
        ["git", "status", "--short"], cwd=clone, capture_output=True, text=True, check=True
    )
    assert not [line for line in left.stdout.splitlines() if line.startswith("??")]


def test_the_second_command_is_the_one_that_ci_runs() -> None:
    assert TEST_COMMAND in [block.text for block in blocks_of(README)][:3]
    assert TEST_COMMAND in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_what_the_readme_shows_can_be_read() -> None:
    for block in blocks_of(README):
        require_valid(block)


def test_the_readme_has_at_most_150_lines() -> None:
    assert len(README.splitlines()) <= 150


def test_every_link_of_the_readme_leads_somewhere() -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", README)
    headings = {
        re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    }
    assert len(targets) > 20
    for target in targets:
        page, _, heading = target.partition("#")
        assert (ROOT / page).is_file() if page else heading in headings, target
