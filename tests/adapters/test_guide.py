"""Every block of the adapters' guide runs, where the framework that it imports is installed."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import graders_engine.adapters

FOLDER = Path(graders_engine.adapters.__file__).parent
GUIDE = (FOLDER / "README.md").read_text(encoding="utf-8")
(GRADER,) = re.findall(r"^```json\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
BLOCKS = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def missing(block: str) -> list[str]:
    """The packages that a block imports and that are not installed."""
    imports = [
        node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.ImportFrom | ast.Import)
    ]
    names = [
        node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in imports
    ]
    return [name for name in names if importlib.util.find_spec(name.partition(".")[0]) is None]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n\n")[0][:40])
def test_a_block_of_the_guide_runs(block: str, tmp_path: Path) -> None:
    if absent := missing(block):
        pytest.skip(f"{', '.join(absent)} is not installed")
    (tmp_path / "grader.json").write_text(GRADER)
    ran = subprocess.run(
        [sys.executable, "-"],
        input=block,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_guide_names_every_file() -> None:
    own = {"__init__", "outputs", "plain", "process_engine", "reward", "rows"}
    listed = re.findall(r"^\| `(\w+)[.`]", GUIDE, re.MULTILINE)
    assert {path.stem for path in FOLDER.glob("*.py")} - own <= set(listed)
