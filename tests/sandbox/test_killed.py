"""A command that is killed or interrupted while python graders run leaves nothing behind."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from graders_engine.sandbox import cgroup
from graders_engine.sandbox.inside import libc, scratch
from tests.environment import unmeasured
from tests.sandbox.test_leaks import below, mounts, new_below

GRADER = {
    "type": "python",
    "source": "def grade(s, i):\n    open('x', 'w')\n    while i['endless']: pass\n    return 1.0",
}
ORDERLY = {
    signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGQUIT: 131
}  # fmt: skip


@pytest.fixture(autouse=True)
def orphans_are_ours() -> Iterator[None]:
    """Processes whose parent was killed become children of this one, so that they can be found."""
    libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1)
    yield
    libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 0)


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def wait_until_empty(folder: Path) -> None:
    until = time.monotonic() + 30
    while left := sorted(folder.rglob("*")):
        assert time.monotonic() < until, left
        time.sleep(0.01)


def ended(processes: set[int]) -> bool:
    for process in processes:
        with suppress(ChildProcessError):
            os.waitpid(process, os.WNOHANG)
    return not below(os.getpid()) & processes


def has_launched(pid: int) -> bool:
    """Whether a worker runs: one of the command's launchers has a process of its own."""
    return any(below(launcher) for launcher in below(pid))


def groups_of(pid: int) -> list[Path]:
    found = cgroup.home()
    return list(found[0].glob(f"graders-{pid}-*")) if found else []


@pytest.fixture
def command(tmp_path: Path, tier: str) -> Callable[..., subprocess.Popen[bytes]]:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "grader.json").write_text(json.dumps(GRADER))
    rows = [{"item": {"endless": n > 0}, "model_sample": "x"} for n in range(9)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "graders_engine", *arguments, "--sandbox", tier],
            cwd=tmp_path,
            env={**unmeasured(), "TMPDIR": str(tmp_path / "tmp")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    return start


SCORE = ("score", "--grader", "@grader.json", "--data", "rows.jsonl", "--out", "out.jsonl")
RUN = ("run", "--grader", "@grader.json", "--model-sample", "x", "--item")


@pytest.mark.parametrize(
    ("arguments", "number"),
    [(SCORE, number) for number in (*ORDERLY, signal.SIGKILL)]
    + [((*RUN, "{endless: true}"), signal.SIGINT)],
)
def test_nothing_is_left(
    arguments: tuple[str, ...],
    number: signal.Signals,
    command: Callable[..., subprocess.Popen[bytes]],
    tmp_path: Path,
    tier: str,
) -> None:
    mounted, before = mounts(), below(os.getpid())
    process = command(*arguments)
    wait_until(lambda: has_launched(process.pid))
    started = new_below(before)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == ORDERLY.get(number, -number)
    assert b"Traceback" not in errors
    wait_until(lambda: ended(started | new_below(before)))
    assert mounts() == mounted
    if number is signal.SIGKILL:
        if tier != "none":
            wait_until_empty(tmp_path / "tmp")
        # The next one removes the group of one that was killed, and the folder where there is no sandbox.
        following = command(*RUN, "{endless: false}")
        _, errors = following.communicate(timeout=60)
        assert following.returncode == 0, errors
    assert os.listdir(tmp_path / "tmp") == []
    assert groups_of(process.pid) == []


WAITS_FOR_A_STOPPED_GRADE = """
import socket
from graders_engine.sandbox.inside.template import GradeProcess, TemplateProcess
control, engine = socket.socketpair()
report, stopped = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
engine.close()
TemplateProcess(None, None, -1, control.fileno())._release(GradeProcess(1, report, ()))
"""


def test_what_waits_for_a_grade_ends_with_the_engine_that_had_stopped_the_grade() -> None:
    command = [sys.executable, "-c", WAITS_FOR_A_STOPPED_GRADE]
    assert subprocess.run(command, timeout=60).returncode == 0


def test_a_folder_is_removed_once_the_last_process_that_locks_it_is_gone(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    held = os.open(tmp_path / "home", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    threading.Timer(0.3, os.close, [held]).start()
    scratch.remove_unlocked(str(tmp_path / "home"))
    assert os.listdir(tmp_path) == []
