"""`graders guide` as it is read in a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from graders_engine.cli.terminal.markdown import table_lines
from graders_engine.guides import text_of


def in_a_terminal(*arguments: str) -> str:
    """What the command writes to a terminal."""
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "graders_engine", *arguments]
    environment = {**os.environ, "PAGER": "cat", "NO_COLOR": "1", "COLUMNS": "80"}
    environment.pop("LINES", None)
    running = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=its, env=environment, start_new_session=True
    )
    os.close(its)
    read = bytearray()
    try:
        while part := os.read(ours, 65536):
            read += part
    except OSError:  # how Linux says that nobody has the other side any more
        pass
    os.close(ours)
    assert running.wait(timeout=60) == 0
    return read.decode().replace("\r\n", "\n")


def test_a_guide_has_its_code_indented_and_its_links_as_commands() -> None:
    printed = in_a_terminal("guide", "adapters")
    assert "```" not in printed
    assert "    grader.json:\n    {\n" in printed  # a block with a file's name
    assert "    needs mlflow:\n" in printed  # and one that needs a package
    assert "[trainers](trainers.md)" in text_of("adapters")
    assert "trainers (graders guide trainers)" in printed


@pytest.mark.parametrize(
    ("table", "width", "printed"),
    [
        ("| a | b |\n|---|---|\n| one | two |", 80, "a    b\n---  ---\none  two"),
        ("| | |\n|---|---|\n| one | two |", 80, "one  two"),
        (
            "| a | b |\n|---|---|\n| one | two or three |",
            12,
            "a    b\n---  -------\none  two or\n     three",
        ),
        ("| a |\n|---|\n| `x\\|y` |", 80, "a\n-----\n`x|y`"),
    ],
)
def test_a_table_is_as_wide_as_the_terminal(table: str, width: int, printed: str) -> None:
    assert "\n".join(table_lines(table.splitlines(), width)) == printed


def test_tables_of_a_guide_are_aligned_within_80_columns() -> None:
    lines = in_a_terminal("guide", "server").splitlines()
    assert not [line for line in lines if line.startswith("|")]
    start = lines.index(next(line for line in lines if line.startswith("route  ")))
    assert all(len(line) <= 80 for line in lines[start : start + 20])
