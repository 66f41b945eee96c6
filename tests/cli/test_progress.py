"""A run tells how far it is, on standard error, as whoever looks at it can use it."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from graders_engine.cli.terminal import progress as showing
from graders_engine.cli.terminal.progress import fitted, progress
from graders_engine.dataset.results.tally import Tally
from tests.dataset.files import cats, command, write_rows


def resize(terminal: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(showing, "monotonic", clock)
    return clock


def tally(rows: int, invalid: int = 0, failed: int = 0) -> Tally:
    scored = rows - invalid - failed
    return Tally(rows, scored, invalid, failed, reward_sum=scored * 0.25)


def test_without_a_terminal_there_is_a_line_every_ten_seconds(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress(quiet=False) as tell:
        for second in range(26):
            clock.now = 1000.0 + second
            tell(100 * second, 10_000, tally(10 * second, failed=second // 15))
    assert capsys.readouterr().err == (
        "scoring  10%  100 rows  10 rows/s  1:30 left  mean 0.2500\n"
        "scoring  20%  200 rows  10 rows/s  1:20 left  mean 0.2500  1 failed\n"
    )


def test_what_an_earlier_run_did_does_not_count_for_the_rate(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress(quiet=False) as tell:
        tell(5000, 10_000, tally(500))
        clock.now += 10
        tell(5001, 10_000, tally(510, invalid=3))
    assert capsys.readouterr().err == (
        "scoring  50%  510 rows  1 rows/s  13:53:10 left  mean 0.2500  3 invalid\n"
    )


def test_of_what_has_no_known_size_there_is_no_share_and_no_time_left(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress(quiet=False) as tell:
        tell(0, None, tally(0))
        clock.now += 10
        tell(7, None, tally(12_345))
    assert capsys.readouterr().err == "scoring  12,345 rows  1,234 rows/s  mean 0.2500\n"


def test_quiet_is_quiet(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress(quiet=True) as tell:
        clock.now += 100
        tell(1, 2, tally(3))
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_there_is_a_bar(string_check: dict[str, Any], tmp_path: Path) -> None:
    import pty

    grader = tmp_path / "grader.json"
    grader.write_text(json.dumps(string_check))
    data = write_rows(tmp_path / "rows.jsonl", [*cats(5000), "{broken"])
    ours, theirs = pty.openpty()
    resize(ours, 120)
    ended = subprocess.run(
        command(grader, data, tmp_path / "out.jsonl"),
        stdout=subprocess.PIPE,
        stderr=theirs,
        check=True,
        timeout=60,
    )
    shown = os.read(ours, 1 << 20).decode()
    os.close(ours)
    os.close(theirs)
    last = shown.split("\r\x1b[J")[-1]
    assert "scoring ████████████████████████ 100%  5,001 rows" in last
    assert "1 invalid" in last
    assert last.endswith("\r\n")
    assert b"mean reward" in ended.stdout


BAR = "████████████████░░░░░░░░"
REST = "mean 0.2500  41,200 invalid  3 failed"
FIELDS = {
    "share": "scoring  67%", "rows": "269,128 rows", "rate": "28,797 rows/s", "left": "5s left",
    "mean": "mean 0.2500", "invalid": "41,200 invalid", "failed": "3 failed",
}  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (200, f"scoring {BAR}  67%  269,128 rows  28,797 rows/s  5s left  {REST}"),
        (96, f"scoring ████░░  67%  269,128 rows  28,797 rows/s  5s left  {REST}"),
        (93, f"scoring  67%  269,128 rows  28,797 rows/s  5s left  {REST}"),
        (81, f"scoring ████░░  67%  269,128 rows  5s left  {REST}"),
        (74, f"scoring  67%  269,128 rows  5s left  {REST}"),
        (70, "scoring █████░░░  67%  269,128 rows  5s left  41,200 invalid  3 failed"),
        (45, "scoring  67%  269,128 rows  5s left  3 failed"),
        (39, "scoring  67%  269,128 rows  3 failed"),
        (12, "scoring  67%"),
        (5, "scori"),
    ],
)
def test_a_narrow_terminal_gets_a_shorter_bar_then_fewer_parts(columns: int, line: str) -> None:
    assert fitted(FIELDS, 0.67, columns) == line


@pytest.mark.parametrize("columns", range(1, 202))
def test_the_line_is_never_wider_than_the_terminal(columns: int) -> None:
    assert len(fitted(FIELDS, 0.67, columns)) <= columns
    assert len(fitted(FIELDS, None, columns)) <= columns
