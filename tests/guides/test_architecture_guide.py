"""The guide to the architecture: what its walks and its table of rooms name is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import graders_engine
from graders_engine.guides import text_of
from tests.test_architecture import APART, LADDER

ROOT = Path(graders_engine.__file__).parent
TESTS = Path(__file__).parents[1]
GUIDE = text_of("architecture")
STEPS = re.findall(r"^\| `([\w/]+\.py)` `([\w.]+)` \|", GUIDE, re.MULTILINE)
ROOMS = GUIDE.partition("## The rooms")[2].partition("\n## ")[0]


def names_in(path: Path) -> set[str]:
    """The functions, classes and methods of a file: {"parse", "Template", "Template.compile"}."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
            within = node.body if isinstance(node, ast.ClassDef) else []
            methods = ast.FunctionDef | ast.AsyncFunctionDef
            found |= {f"{node.name}.{one.name}" for one in within if isinstance(one, methods)}
    return found


def test_there_are_three_walks() -> None:
    assert len(STEPS) > 40


@pytest.mark.parametrize(("file", "name"), STEPS)
def test_a_step_of_a_walk_is_where_the_guide_says(file: str, name: str) -> None:
    assert name in names_in(ROOT / file)


def test_every_path_that_the_guide_names_is_there() -> None:
    paths = re.findall(r"`([\w/]+/|[\w/]+\.py)`", GUIDE)
    missing = [
        path
        for path in paths
        if not any((root / path).exists() for root in (ROOT, TESTS, TESTS.parent))
    ]
    assert not missing


def test_the_table_of_rooms_has_each_room_of_the_ladder_in_its_order() -> None:
    rows = [
        re.findall(r"`([\w]+)(?:/|\.py)`", line.split("|")[1])
        for line in ROOMS.splitlines()
        if line.startswith("| `")
    ]
    named = [room for row in rows for room in row]
    level = {room.split("/")[0]: at for at, rooms in enumerate(LADDER) for room in sorted(rooms)}
    assert set(level) - {"nothing", "late_loop", "loop_thread"} - APART == set(named)
    assert [level[room] for room in named] == sorted(level[room] for room in named)
