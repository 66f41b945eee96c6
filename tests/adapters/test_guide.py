"""The guides to adapters and trainers, whose blocks tests/guides runs, know every adapter."""

from __future__ import annotations

import re
from pathlib import Path

import graders_engine.adapters
from graders_engine.guides import text_of

FOLDER = Path(graders_engine.adapters.__file__).parent
OWN = {"__init__", "outputs", "plain", "process_engine", "reward", "rows"}


def test_the_guides_name_every_file() -> None:
    tables = text_of("adapters") + text_of("trainers")
    listed = re.findall(r"^\| `(\w+)\.", tables, re.MULTILINE)
    assert sorted(listed) == sorted({path.stem for path in FOLDER.glob("*.py")} - OWN)
