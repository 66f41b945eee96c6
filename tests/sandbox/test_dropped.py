"""An engine that nobody closes gives back what it held: processes, threads, descriptors, folders."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graders_engine import AsyncEngine, Engine, LifecycleError
from tests.sandbox.test_leaks import below, new_below

GRADER = {
    "type": "python",
    "source": "def grade(sample, item):\n    while item['endless']: pass\n    return 1.0",
}
QUICK: dict[str, Any] = {"model_sample": "x", "item": {"endless": False}}
ENDLESS: dict[str, Any] = {"model_sample": "x", "item": {"endless": True}}


def held(folder: Path) -> tuple[int, set[str], int, list[str]]:
    """What this process holds: processes, threads of ours, descriptors, temporary files."""
    threads = {thread.name for thread in threading.enumerate()}
    ours = {name for name in threads if name.startswith(("graders", "sandbox"))}
    return (
        len(below(os.getpid())), ours, len(os.listdir("/proc/self/fd")), os.listdir(folder)
    )  # fmt: skip


def workers() -> set[str]:
    return {
        pid
        for task in Path("/proc/self/task").iterdir()
        for pid in task.joinpath("children").read_text().split()
    }


def engine(tier: str, **more: Any) -> Engine:
    made = Engine(sandbox=tier, **more)
    assert made.run(GRADER, **QUICK).reward == 1.0
    return made


def by_name(tier: str) -> None:
    engine(tier)


def in_a_cycle(tier: str) -> None:
    made: Any = engine(tier)
    made.itself = made


def in_a_cycle_by_a_callback(tier: str) -> None:
    class Owner:
        def __init__(self) -> None:
            self.engine = engine(tier, observe=self.observe)

        def observe(self, *_: object) -> None: ...

    Owner()


def with_rows_in_flight(tier: str) -> None:
    next(iter(engine(tier).score(GRADER, [QUICK, *[ENDLESS] * 3])))


def with_rows_in_flight_in_a_cycle(tier: str) -> None:
    rows: Any = [engine(tier).score(GRADER, [QUICK, *[ENDLESS] * 3])]
    next(rows[0])
    rows.append(rows)


def while_another_thread_calls(tier: str) -> None:
    rewards = []
    made = [engine(tier)]
    calling = threading.Thread(
        target=lambda used: rewards.append(used.run(GRADER, **QUICK).reward), args=made
    )
    calling.start()
    made.clear()
    calling.join()
    assert rewards == [1.0]


async def opened(tier: str) -> AsyncEngine:
    made = AsyncEngine(sandbox=tier)
    assert (await made.run(GRADER, **QUICK)).reward == 1.0
    return made


def in_its_running_loop(tier: str) -> None:
    async def main() -> None:
        before = below(os.getpid())
        made = [await opened(tier)]
        made.clear()
        for _ in range(500):
            gc.collect()
            if not new_below(before):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("the processes do not end while the loop runs")

    asyncio.run(main())


def after_its_loop(tier: str) -> None:
    asyncio.run(opened(tier))


def with_its_loop_closed_under_a_grade(tier: str) -> None:
    async def main() -> None:
        made = await opened(tier)
        grading = asyncio.ensure_future(made.run(GRADER, **ENDLESS))
        await asyncio.sleep(0.05)
        grading._log_destroy_pending = False  # type: ignore[attr-defined] # asyncio's: no message

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()


def closed_in_another_loop(tier: str) -> None:
    made = asyncio.run(opened(tier))
    asyncio.run(made.close())


@pytest.mark.parametrize(
    "dropped",
    [
        by_name, in_a_cycle, in_a_cycle_by_a_callback, with_rows_in_flight,
        with_rows_in_flight_in_a_cycle, while_another_thread_calls, in_its_running_loop,
        after_its_loop, with_its_loop_closed_under_a_grade, closed_in_another_loop,
    ],
)  # fmt: skip
def test_a_dropped_engine_gives_everything_back(
    dropped: Callable[[str], None], tier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gc.collect()
    before = held(tmp_path)
    dropped(tier)
    until = time.monotonic() + 20
    while (after := held(tmp_path)) != before and time.monotonic() < until:
        gc.collect()
        time.sleep(0.01)
    assert after == before


AT_EXIT = """
import logging, os, sys, threading
logging.getLogger("asyncio").setLevel("ERROR")  # a busy machine has it warn of slow steps
from graders_engine import Engine
from tests.sandbox.test_dropped import GRADER, QUICK, ENDLESS
engine = Engine(sandbox=sys.argv[1])
print(engine.run(GRADER, **QUICK).reward)
threading.Thread(target=lambda: engine.run(GRADER, **ENDLESS), daemon=True).start()
rows = engine.score(GRADER, [QUICK, ENDLESS, ENDLESS])
next(rows)
"""


def test_an_interpreter_that_ends_takes_its_engines_along(tier: str, tmp_path: Path) -> None:
    before = below(os.getpid())
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "ignore", "-c", AT_EXIT, tier],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1.0\n", "")
    assert not new_below(before)
    assert not os.listdir(tmp_path)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_takes_nothing_from_its_parent(tier: str) -> None:
    made = engine(tier)
    child = os.fork()
    if not child:
        code = 1
        try:
            made.run(GRADER, **QUICK)
        except LifecycleError:
            made.close()
            del made
            gc.collect()
            code = 0
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    before = workers()
    assert made.run(GRADER, **QUICK).reward == 1.0
    assert workers() == before
    made.close()
