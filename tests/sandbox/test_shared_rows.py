"""Rows that share a process: each gets its own reward, whatever the rows before it did."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from graders_engine.sandbox import shared_pool
from graders_engine.sandbox.base import GradeResult, Kind, Limits, Program, SandboxUnavailable
from graders_engine.sandbox.inside.plan import ROWS_A_PROCESS, TIMEOUT
from graders_engine.sandbox.shared_pool import SharedPool
from graders_engine.sandbox.spot_check import SpotCheck
from tests.sandbox.pools import MIB, available

Body = Callable[[SharedPool], Awaitable[None]]

INNOCENT = """
import json, os, random, signal, sys, threading, time, warnings

def is_clean():
    return (
        os.listdir(".") == []
        and "POISON" not in os.environ
        and os.umask(0o22) == 0o22
        and os.get_blocking(4)
        and json.loads("[1]") == [1]
        and len("abc") == 3
        and random.random() != 0.5
        and threading.active_count() == 1
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        and signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()
        and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        and "planted" not in sys.modules
        and sys.gettrace() is None
        and not any(each[0] == "error" for each in warnings.filters)
        and open("new", "w").write("x") == 1
    )

def grade(sample, item):
    if not item.get("do"):
        print("clean")
        return 1.0 if is_clean() else 0.0
    exec(item["do"], {})
    return 0.5
"""
POISONS = [
    "open('left', 'w').write('x' * 9999)",
    "import os; os.mkdir('locked'); open('locked/f', 'w'); os.chmod('locked', 0)",
    "import os; os.chdir('/'); os.umask(0)",
    "import os; os.environ['POISON'] = '1'; os.environ = {}",
    "import json; json.loads = None; del json.dumps",
    "import builtins; builtins.len = lambda x: 0; builtins.open = None",
    "import random; random.seed(0); random.random = lambda: 0.5",
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.alarm(1)",
    "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])",
    "open('planted.py', 'w').write('x = 1'); import sys; sys.path.insert(0, '.'); import planted",
    "import sys; sys.modules['json'] = None; sys.settrace(lambda *a: None)",
    "import warnings; warnings.simplefilter('error')",
    "import sys; sys.stdout.close(); sys.stderr = None",
    "import os; os.set_blocking(4, False)",
    "import os; os.close(1); os.close(2)",
    "import os; os.dup2(0, 1)",
    "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))",
    "import sys; sys.kept = [open('f%d' % k, 'w') for k in range(60)]",
    "import gc; gc.disable(); import sys; sys.setrecursionlimit(50)",
    "import subprocess; subprocess.Popen(['sleep', '60'])",
    "import os; os.fork() or os._exit(0)",
]


@pytest.fixture(scope="module", autouse=True)
def _strong_tier() -> None:
    if not available("namespaces"):
        pytest.skip("this machine has no namespaces tier")


class Unchecked(SpotCheck):
    """No spot check, so that a test sees what the shared process itself answers."""

    def is_due(self) -> bool:
        return False


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_pool, "SpotCheck", Unchecked)


def share(
    body: Body, limits: Limits | None = None, concurrency: int = 1, tier: str = "namespaces"
) -> None:
    """Open a pool, await a body with it, and close it."""

    async def main() -> None:
        pool = SharedPool(tier, limits or Limits(wall_s=10.0), concurrency)
        try:
            await body(pool)
        finally:
            await pool.close()

    asyncio.run(main())


async def graded(pool: SharedPool, source: str, items: list[Any]) -> list[GradeResult]:
    program = Program(source)
    return await asyncio.gather(
        *(pool.grade(program, b'{"output_text": "x"}', json.dumps(item).encode()) for item in items)
    )


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("strong", [True, False])
def test_what_a_row_leaves_is_gone_for_the_next(*, strong: bool) -> None:
    if not strong and not available("landlock"):
        pytest.skip("this machine has no landlock tier")

    async def body(pool: SharedPool) -> None:
        program = Program(INNOCENT)
        for poison in POISONS:
            did = await pool.grade(program, b"{}", json.dumps({"do": poison}).encode())
            # the weaker tier refuses processes
            assert did.reward == 0.5 or (not strong and "PermissionError" in did.details), did
            after = await pool.grade(program, b"{}", b"{}")
            assert (after.reward, after.stdout) == (1.0, "clean\n"), (poison, after)

    share(body, tier="namespaces" if strong else "landlock")


BAD = """
import os, sys, time
def grade(sample, item):
    if item == "loop":
        while True: pass
    if item == "exit": os._exit(3)
    if item == "crash":
        import ctypes; ctypes.string_at(0)
    if item == "memory": return len(bytearray(3 << 30))
    if item == "leave": sys.exit(1)
    if item == "raise": raise KeyError("x")
    if item == "print":
        while True: print("x" * 9999)
    return item
"""


@pytest.mark.parametrize(
    ("bad", "kind", "words"),
    [
        ("loop", Kind.TIMEOUT, "killed after 0.5 s"),
        ("exit", Kind.DIED, "exited with code 3"),
        ("crash", Kind.DIED, "SIGSEGV"),
        ("memory", Kind.MEMORY, "memory limit of 512 MiB passed"),
        ("leave", Kind.EXCEPTION, "SystemExit: 1"),
        ("raise", Kind.EXCEPTION, "KeyError: 'x'"),
        ("print", Kind.OUTPUT, "output limit of 1 MiB passed"),
    ],
)
def test_a_bad_row_costs_itself_alone(bad: str, kind: Kind, words: str) -> None:
    items: list[Any] = [*range(50), bad, *range(50, 90)]

    async def body(pool: SharedPool) -> None:
        results = await graded(pool, BAD, items)
        assert (results[50].kind, results[50].reward) == (kind, None)
        assert words in results[50].details
        assert [each.reward for each in results[:50] + results[51:]] == [*map(float, range(90))]

    share(body, Limits(wall_s=0.5, memory_bytes=512 * MIB, output_bytes=MIB), concurrency=2)


REACHING = """
import os, threading, time
def grade(sample, item):
    if item == "read":
        time.sleep(0.05)
        os.set_blocking(4, False)
        os.read(4, 1 << 20)
        return 50
    if item == "write":
        os.write(4, b"\\x26\\0\\0\\0" + bytes(38) + b"V" + bytes(99))
        return 50
    if item == "late":
        def later():
            time.sleep(0.001)
            os.write(4, bytes(64))
        threading.Thread(target=later).start()
        return 50
    if item == "fork":
        return 50 if os.fork() else 99
    if item == "fork and wait":
        if not (child := os.fork()): return 99
        os.waitpid(child, 0)
        return 50
    if item == "close":
        os.close(4)
        return 50
    return item
"""


@pytest.mark.parametrize("act", ["read", "write", "late", "fork", "fork and wait", "close"])
@pytest.mark.usefixtures("unchecked")
def test_a_row_that_reaches_for_the_channel_changes_no_other_row(act: str) -> None:
    """The row itself may die: in a process of its own the descriptor is not there."""
    items: list[Any] = [*range(50), act, *range(51, 90)]

    async def body(pool: SharedPool) -> None:
        results = await graded(pool, REACHING, items)
        assert results[50].reward in (None, 50.0), results[50]
        others = [each.reward for each in results[:50] + results[51:]]
        assert others == [*map(float, range(50)), *map(float, range(51, 90))]

    share(body)


def test_a_process_that_a_row_started_has_ended_before_the_next_row() -> None:
    source = """
import os, subprocess
def grade(sample, item):
    if item:
        try: os.kill(item, 0)
        except ProcessLookupError: return 1.0
        return 0.0
    return subprocess.Popen(["sleep", "60"]).pid
"""

    async def body(pool: SharedPool) -> None:
        program = Program(source)
        pid = (await pool.grade(program, b"{}", b"0")).reward
        assert pid is not None
        assert pid > 1
        assert (await pool.grade(program, b"{}", str(int(pid)).encode())).reward == 1.0

    share(body)


def test_what_is_printed_stays_with_its_row() -> None:
    source = "def grade(s, i):\n    print('row', i, end='')\n    return i"

    async def body(pool: SharedPool) -> None:
        results = await graded(pool, source, list(range(60)))
        assert [each.stdout for each in results] == [f"row {k}" for k in range(60)]

    share(body)


COUNTING = (
    "import sys\ndef grade(s, i):\n    sys.runs = getattr(sys, 'runs', 0) + 1\n    return sys.runs"
)


@pytest.mark.usefixtures("unchecked")
def test_a_process_is_replaced_after_a_thousand_rows() -> None:
    async def body(pool: SharedPool) -> None:
        rewards = [
            each.reward for each in await graded(pool, COUNTING, [0] * (ROWS_A_PROCESS + 50))
        ]
        assert max(filter(None, rewards)) == ROWS_A_PROCESS
        assert rewards[-1] == 50.0
        assert len(pool.workers) == 1

    share(body)


@pytest.mark.usefixtures("unchecked")
def test_a_process_that_has_grown_is_replaced() -> None:
    source = (
        "import sys\n"
        "def grade(s, i):\n    sys.hoard = getattr(sys, 'hoard', []) + [b'x' * (4 << 20)]\n"
        "    return len(sys.hoard)"
    )

    async def body(pool: SharedPool) -> None:
        rewards = [each.reward for each in await graded(pool, source, [0] * 140)]
        assert None not in rewards
        assert max(filter(None, rewards)) < 130

    share(body)


SLOW = "import time\ndef grade(s, i):\n    time.sleep(0.02)\n    return i"


@pytest.mark.usefixtures("unchecked")
def test_an_order_to_kill_that_comes_late_costs_no_row_its_reward() -> None:
    async def body(pool: SharedPool) -> None:
        rows = asyncio.ensure_future(graded(pool, SLOW, list(range(30))))
        while not (pool.workers and pool.workers[0].running):
            await asyncio.sleep(0.005)
        worker = pool.workers[0]
        answered = worker.running
        assert answered is not None
        while worker.running is answered:
            await asyncio.sleep(0.002)
        worker.kill_grade(answered, TIMEOUT)
        assert [each.reward for each in await rows] == [*map(float, range(30))]

    share(body)


@pytest.mark.usefixtures("unchecked")
def test_rows_of_a_worker_that_is_killed_are_graded_again() -> None:
    async def body(pool: SharedPool) -> None:
        rows = asyncio.ensure_future(graded(pool, SLOW, list(range(40))))
        while not (pool.workers and pool.workers[0].running):
            await asyncio.sleep(0.005)
        os.kill(pool.workers[0].pid, signal.SIGKILL)
        assert [each.reward for each in await rows] == [*map(float, range(40))]

    share(body)


def test_rows_that_nobody_waits_for_any_more_disturb_no_other() -> None:
    async def body(pool: SharedPool) -> None:
        rows = [asyncio.ensure_future(graded(pool, SLOW, [k])) for k in range(20)]
        await asyncio.sleep(0.2)
        for row in rows[::2]:
            row.cancel()
        ended = await asyncio.gather(*rows[1::2])
        assert [each.reward for (each,) in ended] == [float(k) for k in range(1, 20, 2)]

    share(body)


def test_closing_ends_the_rows_and_every_process() -> None:
    pids: list[int] = []

    async def body(pool: SharedPool) -> None:
        (first,) = await graded(pool, SLOW, [1])
        assert first.reward == 1.0
        rows = [asyncio.ensure_future(graded(pool, SLOW, [k])) for k in range(40)]
        await asyncio.sleep(0.05)
        pids.extend(worker.pid for worker in pool.workers)
        await pool.close()
        ended = await asyncio.gather(*rows, return_exceptions=True)
        assert any(isinstance(each, SandboxUnavailable) for each in ended)
        with pytest.raises(SandboxUnavailable):
            await pool.grade(Program(SLOW), b"{}", b"1")

    share(body)
    assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_rows_of_several_graders_take_turns_on_few_workers() -> None:
    async def body(pool: SharedPool) -> None:
        for k in range(8):
            results = await graded(pool, f"def grade(s, i): return i + {k}", [1, 2])
            assert [each.reward for each in results] == [1.0 + k, 2.0 + k]
            assert len(pool.workers) <= 4

    share(body)


@pytest.mark.usefixtures("unchecked")
def test_a_grader_whose_rows_are_slow_gets_a_process_for_each() -> None:
    source = COUNTING.replace("import sys", "import sys, time").replace(
        "    return", "    time.sleep(0.5)\n    return"
    )

    async def body(pool: SharedPool) -> None:
        for _ in range(12):
            await graded(pool, source, [0])
        results = await graded(pool, source, [0, 0])
        assert [each.reward for each in results] == [1.0, 1.0]

    share(body)
