"""What a row leaves behind in a process that rows share, seen by an honest row that follows it."""

from __future__ import annotations

import json

import pytest

from graders_engine.sandbox import shared_pool
from graders_engine.sandbox.base import Limits, Program
from graders_engine.sandbox.pool import Pool
from graders_engine.sandbox.shared_pool import SharedPool
from tests.sandbox.pools import MIB
from tests.sandbox.test_shared_rows import _strong_tier, share, unchecked

__all__ = ["_strong_tier", "unchecked"]

LEAVING = {
    "standard input that was read": (
        "import io, sys\n"
        "def grade(s, i):\n"
        "    if i: sys.stdin = io.StringIO('left')\n"
        "    return len(sys.stdin.read(1))"
    ),
    "standard input that was closed": (
        "import sys\n"
        "def grade(s, i):\n"
        "    if i: return sys.stdin.close() or 5.0\n"
        "    return len(sys.stdin.read())"
    ),
    "another encoding of a stream": (
        "import sys\n"
        "def grade(s, i):\n"
        "    if i: return sys.stdout.reconfigure(encoding='ascii', errors='strict') or 5.0\n"
        "    print('\\u00e9')\n"
        "    return 1.0"
    ),
    "a method of a stream": (
        "import sys\n"
        "def grade(s, i):\n"
        "    if i: sys.stdout.write = None\n"
        "    else: print('x')\n"
        "    return 1.0"
    ),
    "the stream that was there before": (
        "import io, sys\n"
        "def grade(s, i):\n"
        "    if i: sys.__stdout__ = None; return 5.0\n"
        "    sys.stdout = io.StringIO()\n"
        "    sys.stdout = sys.__stdout__\n"
        "    print('x')\n"
        "    return 1.0"
    ),
    "a time zone": (
        "import os, time\n"
        "def grade(s, i):\n"
        "    if i: os.environ['TZ'] = 'XXX-9'; time.tzset()\n"
        "    return time.localtime(0).tm_hour"
    ),
    "a variable of the source": (
        "n = 0\ndef grade(s, i):\n    global n\n    n += 1 + i\n    return n"
    ),
    "a decimal context": (
        "import decimal\n"
        "def grade(s, i):\n"
        "    if i: decimal.setcontext(decimal.Context(prec=3)); return 5.0\n"
        "    return float(decimal.Decimal(1) / 3)"
    ),
    "the file of an array": (
        "import numpy as np\n"
        "def grade(s, i):\n"
        "    if i: np.save('left', [1.0]); return 5.0\n"
        "    try: return float(np.load('left.npy')[0])\n"
        "    except OSError: return 0.0"
    ),
    "a text without a line break": (
        "def grade(s, i):\n    print('left' if i else 'x', end='')\n    return 1.0"
    ),
    "what a thread did while it ended": (
        "import json, threading, time\n"
        "def grade(s, i):\n"
        "    def later():\n"
        "        time.sleep(0.004)\n"
        "        json.loads = lambda text: 9\n"
        "    if i: return threading.Thread(target=later).start() or 5.0\n"
        "    return json.loads('1')"
    ),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("left", LEAVING)
def test_a_row_that_follows_ends_as_in_a_process_of_its_own(left: str) -> None:
    program = Program(LEAVING[left])

    async def body(pool: SharedPool) -> None:
        alone = Pool("namespaces", Limits(wall_s=10.0), 1)
        try:
            for item in (0, 1, 0, 1, 0):
                row = json.dumps(item).encode()
                shared = await pool.grade(program, b"{}", row)
                expected = await alone.grade(program, b"{}", row)
                assert (shared.kind, shared.reward) == (expected.kind, expected.reward), shared
                assert shared.stdout == expected.stdout
        finally:
            await alone.close()

    share(body)


DRAWN = {
    "random": "import random\ndef grade(s, i): return random.random()",
    "statistics": "from statistics import NormalDist as N\ndef grade(s, i): return N().samples(1)[0]",
    "numpy": "import numpy as np\ndef grade(s, i): return np.random.rand()",
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("library", DRAWN)
def test_each_row_draws_the_random_numbers_of_its_seed(library: str) -> None:
    program = Program(DRAWN[library], seed=7)

    async def body(pool: SharedPool) -> None:
        alone = Pool("namespaces", Limits(wall_s=10.0), 1)
        try:
            expected = (await alone.grade(program, b"{}", b"0")).reward
            drawn = [(await pool.grade(program, b"{}", b"0")).reward for _ in range(3)]
            assert drawn == [expected] * 3
        finally:
            await alone.close()

    share(body)


DEEP = (
    "def dive(n): return 1 if n == 0 else 1 + dive(n - 1)\n"
    "def grade(s, i):\n"
    "    n = 0\n"
    "    while True:\n"
    "        try: dive(n)\n"
    "        except RecursionError: return n\n"
    "        n += 1"
)


@pytest.mark.usefixtures("unchecked")
def test_a_recursion_gets_as_deep_as_in_a_process_of_its_own() -> None:
    async def body(pool: SharedPool) -> None:
        alone = Pool("namespaces", Limits(wall_s=10.0), 1)
        try:
            expected = await alone.grade(Program(DEEP), b"{}", b"0")
            assert (await pool.grade(Program(DEEP), b"{}", b"0")).reward == expected.reward
        finally:
            await alone.close()

    share(body)


@pytest.mark.usefixtures("unchecked")
def test_memory_that_rows_have_not_given_back_is_not_missing_for_the_next() -> None:
    """Cycles wait for the collector, which counts objects and not bytes."""
    source = (
        "def grade(s, i):\n"
        "    try: left = {'much': bytearray(b'x' * (60 << 20))}\n"
        "    except MemoryError: return 0.0\n"
        "    left['itself'] = left\n"
        "    return 1.0"
    )

    async def body(pool: SharedPool) -> None:
        program = Program(source)
        rewards = [(await pool.grade(program, b"{}", b"0")).reward for _ in range(30)]
        assert rewards == [1.0] * 30

    share(body, Limits(wall_s=10.0, memory_bytes=512 * MIB))


def test_a_pool_does_not_remember_every_grader_that_it_has_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_pool, "_PROGRAMS_PER_WORKER", 1)

    async def body(pool: SharedPool) -> None:
        for k in range(9):
            result = await pool.grade(Program(f"def grade(s, i): return {k}"), b"{}", b"0")
            assert result.reward == float(k)
        assert len(pool.programs) <= 5

    share(body)
