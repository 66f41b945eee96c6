"""`graders score` over a Ray cluster of two nodes with eight actors; without the package `ray` there is none.

Slow python graders against the ideal on the cores that were given, judges and their limits, which the driver
alone keeps, and a million rows against the floor of `benchmarks.dataset` and a run without a cluster.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.dataset import ROWS, floor, scored, write_checks
from benchmarks.judges import GRADER, Judge, judge, rows
from benchmarks.measurement import Measurement
from benchmarks.rows import CHECK
from tests.environment import unmeasured
from tests.ray.clusters import OPEN, Started, cluster

ACTORS = 8
SLOW_ROWS = 5000
SECONDS_A_ROW = 0.1
SLOW = {
    "type": "python",
    "source": f"import time\ndef grade(sample, item):\n    time.sleep({SECONDS_A_ROW})\n    return 0.5\n",
}
PER_SECOND = 20
PACED_ROWS = 1000
PER_MINUTE = 600
TOKENS_A_REPLY = 70
AT_ONCE = 32
MAX_TOKENS = 35_000
MAX_COST = 0.05
PRICE = 1.0
"""Of a million tokens of the prompt, 50 a request, and of the answer, 20."""


def write_rows(path: Path, count: int, times: int = 1) -> Path:
    lines = [json.dumps(row) + "\n" for row in rows(count)]
    path.write_text("".join(lines * times), encoding="utf-8")
    return path


def over_ray(
    ray: Started, grader: dict[str, Any], data: Path, *more: str, code: int = 0
) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Wall seconds of the whole command, and what it printed."""
    command = [
        sys.executable, "-P", "-m", "graders_engine", "score", "--grader", json.dumps(grader),
        "--data", str(data), "--out", f"{data}.results.jsonl", "--overwrite",
        "--ray-address", ray.address, "--workers", str(ACTORS), *more,
    ]  # fmt: skip
    began = time.perf_counter()
    done = subprocess.run(
        command, env={**unmeasured(), **OPEN}, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return time.perf_counter() - began, done


class Actors:
    """The most memory that any process of an actor of the engine had, in MB, while a block ran."""

    def __init__(self) -> None:
        self.rss = self.own = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Actors:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            for process in Path("/proc").glob("[0-9]*"):
                with suppress(OSError, IndexError, ValueError):
                    if (process / "cmdline").read_bytes().startswith(b"ray::"):
                        self.rss = max(self.rss, _megabytes(process / "status", "VmRSS"))
                        self.own = max(self.own, _megabytes(process / "smaps_rollup", "Pss"))


def _megabytes(file: Path, name: str) -> float:
    return int(file.read_text().partition(f"{name}:")[2].split()[0]) / 1024


def slow(ray: Started, folder: Path) -> Iterator[Measurement]:
    data = write_rows(folder / "slow.jsonl", SLOW_ROWS)
    wall, _ = over_ray(ray, SLOW, data)
    ideal = SLOW_ROWS * SECONDS_A_ROW / ACTORS
    yield Measurement(f"{SLOW_ROWS} python grades of {SECONDS_A_ROW} s, {ACTORS} actors", wall, "s")
    yield Measurement("share of the ideal", ideal / wall, "x", bar=0.8, at_least=True)


def _judged(ray: Started, at: Judge, data: Path, *more: str, code: int = 0) -> float:
    options = ("--base-url", at.url, "--concurrency", str(AT_ONCE), *more)
    return over_ray(ray, GRADER, data, *options, code=code)[0]


def judges(ray: Started, folder: Path) -> Iterator[Measurement]:
    few, paced = (
        write_rows(folder / f"{count}.jsonl", count) for count in (PER_SECOND, PACED_ROWS)
    )
    with judge() as at:
        start = _judged(ray, at, few, "--no-cache")
    with judge(0.05, PER_SECOND) as at:
        wall = _judged(ray, at, paced, "--no-cache")
        lost = PACED_ROWS - at.count()["answered"]
    yield Measurement(f"{PACED_ROWS} rows, a judge of {PER_SECOND} a second", wall, "s")
    yield Measurement("over the ideal time", wall * PER_SECOND / PACED_ROWS, "x", bar=1.25)
    yield Measurement("rows lost", lost, "", bar=0)
    with judge() as at:
        limit = ("--requests-per-minute", str(PER_MINUTE))
        wall = _judged(ray, at, paced, "--no-cache", *limit) - start
    rate = 60 * PACED_ROWS / wall / PER_MINUTE
    yield Measurement(f"{PER_MINUTE} requests a minute: sent of allowed", 100 * rate, "%", 105)
    in_flight = AT_ONCE * TOKENS_A_REPLY
    with judge() as at:
        _judged(ray, at, paced, "--no-cache", "--max-tokens", str(MAX_TOKENS), code=1)
        over = at.count()["answered"] * TOKENS_A_REPLY - MAX_TOKENS
    yield Measurement("tokens over --max-tokens", over, "tokens", bar=in_flight)
    prices = folder / "graders.toml"
    prices.write_text(f'[prices]\n"loopback-judge" = {{input = {PRICE}, output = {PRICE}}}\n')
    with judge() as at:
        costs = ("--max-cost", str(MAX_COST), "--config", str(prices))
        _judged(ray, at, paced, "--no-cache", *costs, code=1)
        over_cost = at.count()["answered"] * TOKENS_A_REPLY * PRICE / 1e6 - MAX_COST
    yield Measurement("over --max-cost", over_cost, "$", bar=in_flight * PRICE / 1e6)
    repeated = write_rows(folder / "repeated.jsonl", 200, times=10)
    with judge(0.01) as at:
        _judged(ray, at, repeated, "--cache", str(folder / "replies.sqlite"))
        twice = at.count()["answered"] - 200
    yield Measurement("requests paid twice, of 2,000 rows that ask 200", twice, "", bar=0)


def million(ray: Started, folder: Path) -> Iterator[Measurement]:
    checks = folder / "checks"
    write_checks(checks, ROWS)
    over, alone, least = [], [], []
    with Actors() as actors:
        for _ in range(3):
            over.append(over_ray(ray, CHECK, checks)[0])
            alone.append(scored(checks, CHECK, 2, "--overwrite")[0])
            least.append(floor(folder, checks, "msgspec"))
    yield Measurement(f"{ROWS:,} string_check rows over Ray", min(over), "s")
    yield Measurement("the same with 2 workers of this machine", min(alone), "s")
    yield Measurement("over the floor with msgspec", min(over) / min(least), "x")
    yield Measurement(
        "memory of an actor, its share of what processes share", actors.own, "MB", 150
    )
    yield Measurement("memory of an actor, resident", actors.rss, "MB")


def measurements() -> Iterator[Measurement]:
    if importlib.util.find_spec("ray") is None:
        return
    half = f"--num-cpus={ACTORS // 2}"
    with tempfile.TemporaryDirectory() as folder, cluster(half) as ray:
        ray.add(half)
        for part in (slow, judges, million):
            yield from part(ray, Path(folder))
