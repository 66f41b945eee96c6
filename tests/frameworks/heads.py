"""The examples in the heads of the adapters, for the tests that run them as they stand."""

from __future__ import annotations

import ast
import json
import re
import runpy
import textwrap
from pathlib import Path
from typing import Any

import graders_engine.adapters
from tests.frameworks.conftest import two_checks

FOLDER = Path(graders_engine.adapters.__file__).parent
BLOCK = re.compile(r"::\n\n((?:    .*\n|\n)+)")


def head(adapter: str) -> str:
    """The docstring of an adapter's file."""
    source = (FOLDER / f"{adapter}.py").read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(source)) or ""


def examples(adapter: str, folder: Path) -> list[str]:
    """The blocks of an adapter's head; the `grader.json` that it names is put into the folder."""
    text = head(adapter)
    (reference,) = re.findall(r"\{\{item\.[\w.]+\}\}", text)
    grader = two_checks(reference)["graders"]["exact"]
    (folder / "grader.json").write_text(json.dumps(grader))
    return [textwrap.dedent(block).strip() + "\n" for block in BLOCK.findall(text)]


def run(block: str, folder: Path) -> dict[str, Any]:
    """Run a block in this process, as a script in the folder; gives the names that it has at its end."""
    script = folder / "example.py"
    script.write_text(block)
    return runpy.run_path(str(script), run_name="__main__")
