"""Calls share nothing: what one row's grade had, said and did is nowhere in the grades after it.

A secret of an earlier row is searched for in the whole memory of the grades after it, freed memory
included, from outside; and from inside, by code that reads its frames, the collector's objects and,
where it can, its own memory. That the search works is shown by text of the row's own, which is found.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from graders_engine.sandbox.inside.plan import SPARES
from graders_engine.sandbox.pool import Pool
from tests.sandbox.pools import Run, grade
from tests.sandbox.test_leaks import below
from tests.sandbox.world import ROLES, TIERS, Driven

MARK = "MARK-OF-THE-ROW-THAT-LOOKS"
# each way in which a row leaves something: the grade's last lines
WAYS = {
    "prints": "print(secret); print(secret, file=sys.stderr)",
    "raises": "raise ValueError(secret)",
    "raises a type of that name": "raise type(secret, (Exception,), {})()",
    "returns a text": "return secret",
    "writes to the channel": "os.write(3, secret.encode('utf-8', 'replace'))",
    "fills the channel": "os.write(3, secret.encode('utf-8', 'replace') * 3000)",
    "floods its output": "print(secret * 200_000)",
    "exits": "print(secret, flush=True); os._exit(7)",
    "is killed": "os.kill(os.getpid(), 9)",
    "takes too long": "print(secret, flush=True); time.sleep(60)",
    "leaves a file of that name": "open(secret[:60], 'w').write(secret)",
    "leaves a folder of that name": "os.makedirs(secret[:60] + '/' + secret[60:120])",
    "sets the environment": "os.environ['SECRET'] = secret",
    "names its process": "import ctypes; ctypes.CDLL(None).prctl(15, secret.encode('utf-8'), 0, 0, 0)",
}
SECRETS = ("SECRET-OF-AN-EARLIER-ROW", "Sécret-of-an-éarlier-row", "S中cret-中\U0001f511-row")
ENCODINGS = ("utf-8", "latin-1", "utf-16-le", "utf-32-le")
LOOK = """
def look(item):
    # in every variable of every frame, and in every object that the collector knows
    frame, found = sys._getframe(), 0
    while frame is not None:
        found += holds(dict(frame.f_locals), item["backwards"], 6)
        frame = frame.f_back
    return found + sum(holds(each, item["backwards"], 1) for each in gc.get_objects())

def wait():
    import signal
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGUSR2})
    signal.sigtimedwait({signal.SIGUSR1}, 60)
    return 1.0

def holds(value, backwards, depth):
    if isinstance(value, str):
        return backwards in value[::-1]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return any(backwards.encode(e, "replace") in bytes(value)[::-1] for e in ("utf-8", "latin-1"))
    if not depth:
        return False
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    elif not isinstance(value, (list, tuple, set, frozenset)):
        value = list(getattr(value, "__dict__", {}).values())
    return any(holds(each, backwards, depth - 1) for each in list(value))
"""
SOURCE = (
    "import gc, os, sys, time\n"
    "def grade(sample, item):\n"
    "    if item['way'] == 'looks': return look(item)\n"
    "    if item['way'] == 'waits': return wait()\n"
    "    secret = (item['secret'] + '.') * 9\n"
    + "".join(f"    if item['way'] == {way!r}: {lines}\n" for way, lines in WAYS.items())
    + f"    return 1.0\n{LOOK}"
)


def item_of(way: str, secret: str = "") -> dict[str, Any]:
    return {"way": way, "secret": secret, "mark": MARK}


def memory_of(pid: int) -> Iterator[bytes]:
    """Everything that a process has written in memory, region by region."""
    with (
        open(f"/proc/{pid}/maps", encoding="utf-8") as maps,
        open(f"/proc/{pid}/mem", "rb", 0) as memory,
    ):
        for line in maps:
            bounds, access = line.split()[:2]
            start, end = (int(bound, 16) for bound in bounds.split("-"))
            with contextlib.suppress(OSError, ValueError):  # the kernel's own pages
                if "rw" in access:
                    memory.seek(start)
                    yield memory.read(end - start)


def looked_for() -> list[bytes]:
    return list({secret.encode(e, "ignore") for secret in SECRETS for e in ENCODINGS})


def waits(pid: int) -> bool:
    """Whether a process is the row that waits: no other blocks this signal."""
    blocked = Path(f"/proc/{pid}/status").read_text("ascii", "replace").partition("SigBlk:")[2]
    return int(blocked.split()[0], 16) >> (signal.SIGUSR2 - 1) & 1 == 1


def row_that_waits(parent: int) -> tuple[int, bytes]:
    """The process below `parent` that waits and has the mark, and its memory; (0, b"") when there is none."""
    for pid in below(parent):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            if waits(pid) and MARK.encode() in (memory := b"".join(memory_of(pid))):
                return pid, memory
    return 0, b""


def memory_of_next_row(sandbox: Driven) -> bytes:
    """The memory of a row while it is graded, or of one after it: a busy machine may end one unseen."""
    for _ in range(30):
        with ThreadPoolExecutor(1) as thread:
            row = thread.submit(sandbox.grade, SOURCE, item=item_of("waits"))
            pid, memory = 0, b""
            while not memory and not row.done():
                pid, memory = row_that_waits(sandbox.pid)
            while memory and not row.done():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGUSR1)
                time.sleep(0.01)
        if memory:
            return memory
    return b""


@pytest.mark.skipif(os.geteuid() != 0, reason="reading the memory of another process needs root")
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("tier", [*TIERS, "none"])
def test_no_memory_of_a_later_row_has_anything_of_an_earlier_one(
    tier: str, role: str, sandboxes: Callable[[str, str], Driven]
) -> None:
    sandbox = sandboxes(tier, role)
    for way in WAYS:
        for secret in SECRETS:
            sandbox.grade(SOURCE, item=item_of(way, secret))
            if way == "takes too long":
                break  # one is enough of a slow thing
    for _ in range(SPARES + 1):  # as many are forked before the first of them runs
        memory = memory_of_next_row(sandbox)
        assert memory, "the search finds the row that waits"
        assert [secret for secret in looked_for() if secret in memory] == []


def test_no_variable_or_object_of_a_later_row_has_anything_of_an_earlier_one(run: Run) -> None:
    async def body(pool: Pool) -> None:
        async def found(wanted: str) -> float | None:
            item = item_of("looks") | {"backwards": wanted[::-1]}
            return (await grade(pool, SOURCE, item)).reward

        for way in ("prints", "raises", "writes to the channel", "leaves a file of that name"):
            for _ in range(SPARES):  # the grades after one of these are forked while it is the last
                await grade(pool, SOURCE, item_of(way, SECRETS[0]))
            for _ in range(SPARES + 1):
                assert await found(SECRETS[0]) == 0.0, way
        assert await found(MARK) != 0.0, "the search finds what the row itself has"

    run(body)
