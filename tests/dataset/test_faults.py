"""Whatever happens to a run's processes, disk or clock: nothing is lost, nothing stands twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graders_engine.dataset.rows.formats import open_records
from graders_engine.dataset.rows.shapes import ROWS
from graders_engine.dataset.rows.shards import cut
from graders_engine.dataset.scoring.order import failed_results
from tests.dataset.files import cats, command, results, timeless, write_rows
from tests.environment import DISK

KILLS = int(os.environ.get("GRADERS_KILLS", "4"))
KILL_ROWS = int(os.environ.get("GRADERS_KILL_ROWS", "20000"))
PADDINGS = {"in one process": "", "in many": "x" * 400}
"""Rows of 20,000 * 400 bytes are more than one process is left alone with."""
MANY = PADDINGS["in many"]


@pytest.fixture
def grader(string_check: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / "grader.json"
    path.write_text(json.dumps(string_check))
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def undisturbed(grader: Path, data: Path, out: Path) -> tuple[bytes, float]:
    """The results as they should be, and the seconds that they took."""
    began = time.monotonic()
    subprocess.run(command(grader, data, out, "--quiet", "--workers", "2"), check=True, timeout=300)
    return timeless(out), time.monotonic() - began


def once_results_come(process: subprocess.Popen[Any], out: Path) -> None:
    while not (out.exists() and out.stat().st_size):
        assert process.poll() is None
        time.sleep(0.005)


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


@pytest.mark.parametrize("padding", PADDINGS.values(), ids=PADDINGS)
def test_killed_at_random_moments_the_results_are_those_of_an_undisturbed_run(
    padding: str, grader: Path, tmp_path: Path, out: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", cats(KILL_ROWS, padding))
    expected, duration = undisturbed(grader, data, tmp_path / "whole.jsonl")
    moments = random.Random(7)  # noqa: S311 - moments to kill at, no secrets
    for _ in range(KILLS):
        process = subprocess.Popen(command(grader, data, out, "--quiet", "--workers", "2"))
        time.sleep(moments.uniform(0, duration))
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command(grader, data, out, "--quiet", "--workers", "2"), check=True, timeout=300)
    assert timeless(out) == expected


def test_killed_while_it_tries_failed_rows_again_the_old_or_the_new_results_are_whole(
    grader: Path, tmp_path: Path, out: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", cats(KILL_ROWS // 5))
    expected, _ = undisturbed(grader, data, out)
    lost = [failed_results(shard, ROWS).lines for shard in cut(open_records(data)).rest()]
    old = b"".join(lost)
    again = command(grader, data, out, "--quiet", "--workers", "2", "--retry-failed")
    out.write_bytes(old)
    began = time.monotonic()
    subprocess.run(again, check=True, timeout=120)
    duration = time.monotonic() - began
    assert timeless(out) == expected
    moments = random.Random(3)  # noqa: S311 - moments to kill at, no secrets
    for _ in range(KILLS):
        out.write_bytes(old)
        process = subprocess.Popen(again)
        time.sleep(moments.uniform(duration / 2, duration))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert out.read_bytes() == old or timeless(out) == expected
    subprocess.run(again, check=True, timeout=120)
    assert timeless(out) == expected
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find the workers")
def test_workers_that_are_killed_cost_nothing(grader: Path, tmp_path: Path, out: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", cats(4 * KILL_ROWS, MANY))
    expected, _ = undisturbed(grader, data, tmp_path / "whole.jsonl")
    with subprocess.Popen(
        command(grader, data, out, "--quiet", "--workers", "2"), stderr=subprocess.PIPE
    ) as process:
        once_results_come(process, out)
        killed = 0
        while process.poll() is None and killed < 3:
            for worker in children(process.pid)[:1]:
                os.kill(worker, signal.SIGKILL)
                killed += 1
            time.sleep(0.05)
        _, errors = process.communicate(timeout=120)
    assert killed
    assert (process.returncode, errors) == (0, b"")
    assert timeless(out) == expected


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find the workers")
def test_no_worker_outlives_a_run_that_is_killed(grader: Path, tmp_path: Path, out: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", cats(4 * KILL_ROWS, MANY))
    with subprocess.Popen(
        command(grader, data, out, "--quiet", "--workers", "2"), stderr=subprocess.PIPE
    ) as process:
        once_results_come(process, out)
        workers = children(process.pid)
        process.kill()
        # Standard error is the workers', too: it ends when the last of them does.
        _, errors = process.communicate(timeout=60)
    assert len(workers) == 2
    assert errors == b""
    for worker in workers:  # pids that are still known here are a zombie's, or another process's
        path = Path(f"/proc/{worker}/cmdline")
        assert not path.exists() or b"graders_engine" not in path.read_bytes()


INTERRUPTIBLE = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.parametrize("padding", PADDINGS.values(), ids=PADDINGS)
def test_interrupted_from_the_keyboard_it_keeps_what_was_scored(
    padding: str, grader: Path, tmp_path: Path, out: Path
) -> None:
    count = 100_000 if padding else 300_000
    data = write_rows(tmp_path / "rows.jsonl", cats(count, padding))
    # Without coverage's hooks: an interrupt inside their lock leaves it closed for ever.
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    # A shell's background job, which these tests may be part of, ignores SIGINT, and so would its children.
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, *command(grader, data, out)],
        stderr=subprocess.PIPE,
        text=True,
        env=unmeasured,
    ) as process:
        once_results_come(process, out)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "\nInterrupted. Run the same command again to resume.\n"
    lines = [result["line"] for result in results(out)]
    assert lines == list(range(1, len(lines) + 1))
    assert 0 < len(lines) < count


def test_a_second_run_on_the_same_results_is_refused_and_the_first_is_not_disturbed(
    grader: Path, tmp_path: Path, out: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", cats(4 * KILL_ROWS, MANY))
    expected, _ = undisturbed(grader, data, tmp_path / "whole.jsonl")
    with subprocess.Popen(command(grader, data, out, "--quiet")) as first:
        once_results_come(first, out)
        first.send_signal(signal.SIGSTOP)  # so that it is surely not done yet
        for more in ("--quiet", "--overwrite", "--retry-failed"):
            second = subprocess.run(
                command(grader, data, out, more), capture_output=True, text=True, check=False
            )
            assert second.returncode == 1
            assert second.stderr == (f"Another run is writing to {out}: wait for it, or end it.\n")
        first.send_signal(signal.SIGCONT)
        assert first.wait(timeout=120) == 0
    assert timeless(out) == expected


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, that tests may fill and lock."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", DISK, str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(disk: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(disk)], check=True)


@pytest.mark.parametrize("padding", PADDINGS.values(), ids=PADDINGS)
def test_a_full_disk_is_a_sentence_and_the_run_goes_on_when_there_is_room(
    padding: str, grader: Path, tmp_path: Path, small_disk: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", cats(KILL_ROWS, padding))
    expected, _ = undisturbed(grader, data, tmp_path / "whole.jsonl")
    out = small_disk / "out.jsonl"
    for _ in range(2):  # the second one finds the disk full at once
        ended = subprocess.run(
            command(grader, data, out), capture_output=True, text=True, check=False, timeout=120
        )
        assert ended.returncode == 1
        assert "cannot be written" in ended.stderr
        assert "Traceback" not in ended.stderr
    assert out.read_bytes().count(b"\n") > 1000
    remount(small_disk, "size=64m")
    subprocess.run(command(grader, data, out, "--quiet"), check=True, timeout=120)
    assert timeless(out) == expected


def test_a_folder_that_cannot_be_written_to_is_a_sentence(
    grader: Path, tmp_path: Path, small_disk: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", cats(10))
    remount(small_disk, "ro")
    ended = subprocess.run(
        command(grader, data, small_disk / "out.jsonl"), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr == (
        f"The results cannot be written: {small_disk / 'out.jsonl'}: Read-only file system.\n"
    )


BACKWARDS = """
import sys, time
from itertools import count
hours, begin = count(), time.time()
time.time = lambda: begin - 3600 * next(hours)
time.time_ns = lambda: int(time.time() * 1e9)
from graders_engine.cli.main import main
main()
"""


def test_a_clock_that_goes_backwards_disturbs_nothing(
    grader: Path, tmp_path: Path, out: Path
) -> None:
    data = write_rows(tmp_path / "rows.jsonl", cats(KILL_ROWS, MANY))
    expected, _ = undisturbed(grader, data, tmp_path / "whole.jsonl")
    arguments = command(grader, data, out)[3:]
    for kept in (None, 100_000):
        if kept:
            with out.open("r+b") as file:
                file.truncate(kept)
        ended = subprocess.run(
            [sys.executable, "-c", BACKWARDS, *arguments],
            capture_output=True,
            check=True,
            timeout=120,
        )
        assert ended.stderr == b""
        assert timeless(out) == expected
        assert all(0 <= result["seconds"] < 60 for result in results(out))
