"""The sandbox compared with its floor, with a subprocess per grade and with no isolation at all.

The floor is what a process costs on this machine: `fork`, `_exit`, `waitpid` in a bare interpreter
with the same flags and imports. Floor and grades are measured in turns, and each turn's grades are
divided by that turn's floor, so that other load on the machine affects both.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.measurement import Measurement
from graders_engine import Engine
from graders_engine.sandbox.base import Isolation, Program, SandboxUnavailable
from graders_engine.sandbox.pool import Pool

TURNS = 15
CALLS = 100
THROUGHPUT_CALLS = 3000
SHARED_CALLS, SHARED_TURNS = 20_000, 5
CORES = 2
SIMPLE = """
def grade(sample, item):
    return 1.0 if sample["output_text"] == item["reference"] else 0.0
"""
NUMPY = """
import numpy as np

def grade(sample, item):
    return 1.0 if np.float64(sample["output_text"]) == np.float64(item["reference"]) else 0.0
"""
ALLCLOSE = """
import numpy as np

def grade(sample, item):
    return 1.0 if np.allclose(float(sample["output_text"]), float(item["reference"])) else 0.0
"""
SAMPLE = {"output_text": "42", "output_json": 42}
ITEM = {"reference": "42"}
SAMPLE_JSON, ITEM_JSON = json.dumps(SAMPLE).encode(), json.dumps(ITEM).encode()
FLOOR = """
import gc, os, sys, time
sys.path[:] = {path!r}
{imports}
gc.freeze()
for line in sys.stdin:
    took = []
    for _ in range(int(line)):
        began = time.perf_counter()
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        took.append(time.perf_counter() - began)
    print(1000 * sorted(took)[len(took) // 2], flush=True)
"""


class Floor:
    """A bare interpreter that forks on demand."""

    def __init__(self, imports: str) -> None:
        code = FLOOR.format(path=sys.path, imports=imports)
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-P", "-s", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"OPENBLAS_NUM_THREADS": "1"},
        )

    def median_ms(self, times: int) -> float:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{times}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


@dataclass(frozen=True)
class Turn:
    """Milliseconds: the floor, and warm grades one by one, sorted."""

    floor: float
    grades: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.grades)

    @property
    def mean(self) -> float:
        return statistics.mean(self.grades)

    @property
    def late(self) -> float:
        return self.grades[int(len(self.grades) * 0.95)]


#: what is made of the grades of a turn, and how many times the floor it may be in the strongest tier
STATISTICS: tuple[tuple[str, Callable[[Turn], float], float], ...] = (
    ("median", lambda turn: turn.median, 2.0),
    ("mean", lambda turn: turn.mean, 2.4),
    ("p95", lambda turn: turn.late, 5.0),
)


@dataclass(frozen=True)
class Latency:
    """Milliseconds of the first grade, and what was measured in each turn after it."""

    cold: float
    turns: list[Turn]

    def median_of(self, value: Callable[[Turn], float]) -> float:
        return statistics.median(map(value, self.turns))

    def over_floor(self, value: Callable[[Turn], float]) -> float:
        return statistics.median(value(turn) / turn.floor for turn in self.turns)


async def latency(tier: str, source: str, imports: str) -> Latency:
    pool, floor, turns = Pool(tier, concurrency=1), Floor(imports), []

    async def one() -> float:
        began = time.perf_counter()
        result = await pool.grade(Program(source), SAMPLE_JSON, ITEM_JSON)
        assert result.reward == 1.0, result
        return 1000 * (time.perf_counter() - began)

    try:
        cold = await one()
        for _ in range(TURNS):
            floor_ms = floor.median_ms(CALLS)
            turns.append(Turn(floor_ms, sorted([await one() for _ in range(CALLS)])))
    finally:
        await pool.close()
        floor.close()
    return Latency(cold, turns)


def throughput(tier: str, source: str, calls: int, isolation: Isolation = "call") -> float:
    """Grades a second through `engine.score`."""
    rows = [{"item": ITEM, "sample": SAMPLE}] * calls
    with Engine(sandbox=tier, python_isolation=isolation) as engine:
        compiled = engine.compile({"type": "python", "source": source})
        list(engine.score(compiled, rows[: 80 * CORES]))  # the workers are up
        began = time.perf_counter()
        assert all(graded.reward == 1.0 for graded in engine.score(compiled, rows))
        return calls / (time.perf_counter() - began)


def subprocess_throughput(source: str, calls: int) -> float:
    """Grades a second with a fresh `python -c` for each, as many at a time as there are cores."""
    code = f"{source}\nprint(grade({SAMPLE!r}, {ITEM!r}))"

    def one(_: int) -> None:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert float(done.stdout) == 1.0

    with ThreadPoolExecutor(CORES) as threads:
        began = time.perf_counter()
        list(threads.map(one, range(calls)))
        return calls / (time.perf_counter() - began)


def in_process(source: str) -> float:
    names: dict[str, object] = {}
    exec(source, names)  # noqa: S102 - our own source, to compare with
    grade = names["grade"]
    assert callable(grade)
    return float(grade(json.loads(SAMPLE_JSON), json.loads(ITEM_JSON)))


def pool_throughput(source: str, calls: int, tasks_per_child: int | None) -> float:
    """Grades a second through a process pool, without any isolation."""
    context = multiprocessing.get_context("fork")
    with context.Pool(CORES, maxtasksperchild=tasks_per_child) as processes:
        processes.map(in_process, [source] * CORES, chunksize=1)
        began = time.perf_counter()
        rewards = processes.map(in_process, [source] * calls, chunksize=1)
        took = time.perf_counter() - began
    assert set(rewards) == {1.0}
    return calls / took


def measurements() -> Iterator[Measurement]:
    for tier, strongest in (("namespaces", True), ("landlock", False)):
        try:
            yield from latency_figures(tier, strongest)
            yield from throughput_figures(tier, strongest)
        except SandboxUnavailable:
            continue
    for what, each in (("kept processes", None), ("a process per grade", 1)):
        rate = pool_throughput(SIMPLE, 2000, each)
        yield Measurement(f"no isolation, process pool, {what}, simple", rate, "grades/s")


def shared_figures(tier: str, strongest: bool) -> Iterator[Measurement]:
    """Rows that share a process: grades a second, and over a process for each, in turns."""
    for name, source, at_least in (("simple", SIMPLE, 15_000), ("numpy", NUMPY, 12_000)):
        shared, alone = [], []
        for _ in range(SHARED_TURNS):
            shared.append(throughput(tier, source, SHARED_CALLS, "worker"))
            alone.append(throughput(tier, source, SHARED_CALLS // 20))
        rate = statistics.median(shared)
        what = f"{tier}, {name}: rows that share a process, engine.score on {CORES} cores"
        bar = at_least if strongest else None
        yield Measurement(what, rate, "grades/s", bar=bar, at_least=True)
        yield Measurement(
            f"{tier}, {name}: shared over a process per grade", rate / statistics.median(alone), "x"
        )


def latency_figures(tier: str, strongest: bool) -> Iterator[Measurement]:
    for name, source, imports in (("simple", SIMPLE, ""), ("numpy", NUMPY, "import numpy")):
        found = asyncio.run(latency(tier, source, imports))
        yield Measurement(f"{tier}, {name}: floor", found.median_of(lambda t: t.floor), "ms")
        for what, value, bar in STATISTICS:
            in_ms = found.median_of(value)
            yield Measurement(f"{tier}, {name}: one grade, warm, {what}", in_ms, "ms")
            ratio, at_most = found.over_floor(value), bar if strongest else None
            yield Measurement(f"{tier}, {name}: {what} over floor", ratio, "x", bar=at_most)
        is_bare = strongest and name == "simple"
        yield Measurement(
            f"{tier}, {name}: first grade, cold", found.cold, "ms", bar=150 if is_bare else None
        )


def throughput_figures(tier: str, strongest: bool) -> Iterator[Measurement]:
    for name, source, at_least in (("simple", SIMPLE, 1100), ("numpy", NUMPY, 600)):
        rate = throughput(tier, source, THROUGHPUT_CALLS)
        bar = at_least if strongest else None
        yield Measurement(
            f"{tier}, {name}: engine.score on {CORES} cores",
            rate,
            "grades/s",
            bar=bar,
            at_least=True,
        )
    yield from shared_figures(tier, strongest)
    rate_allclose = throughput(tier, ALLCLOSE, THROUGHPUT_CALLS // 2)
    yield Measurement(
        f"{tier}, numpy.allclose: engine.score on {CORES} cores", rate_allclose, "grades/s"
    )
    alone = subprocess_throughput(NUMPY, 40)
    yield Measurement("python -c per grade, numpy", alone, "grades/s")
    bar = 60 if strongest else None
    yield Measurement(f"{tier}, numpy: over python -c", rate / alone, "x", bar=bar, at_least=True)
