"""`graders guide` as it is read in a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from graders_engine.guides import text_of


def in_a_terminal(*arguments: str) -> str:
    """What the command writes to a terminal."""
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "graders_engine", *arguments]
    environment = {**os.environ, "PAGER": "cat", "NO_COLOR": "1"}
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


def test_links_within_a_page_are_their_text_and_those_to_the_folder_above_are_commands() -> None:
    printed = in_a_terminal("guide", "api/rewards")
    assert "[trl.TRLReward](#trltrlreward)" in text_of("api/rewards")
    assert "trl.TRLReward ·" in printed
    assert "[adapters](../adapters.md)" in text_of("api/rewards")
    assert "adapters (graders guide adapters)" in printed
