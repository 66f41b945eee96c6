"""A GraderReward in a training process: the time from an output to its outcome, best of five."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.measurement import Measurement
from benchmarks.rows import CHECK, NAME_EMAIL
from graders_engine import GraderReward, Scripted

ROWS = 20_480
BATCH = 256
TIMES = 5
JUDGE_S = 0.1
JUDGE: dict[str, Any] = {
    "type": "score_model",
    "name": "judge",
    "model": "m",
    "input": [{"role": "user", "content": "{{sample.output_text}}"}],
    "range": [0, 1],
}


def best_us(rows: int, work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(TIMES):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return 1e6 * best / rows


def one_by_one(reward: GraderReward, output: str, item: dict[str, Any]) -> float:
    def work() -> None:
        for _ in range(ROWS):
            reward.grade(output, item)

    return best_us(ROWS, work)


def in_batches(reward: GraderReward, output: str, item: dict[str, Any]) -> float:
    rows = [reward.row(output, item) for _ in range(BATCH)]

    def work() -> None:
        for _ in range(ROWS // BATCH):
            reward.grade_all(rows)

    return best_us(ROWS, work)


async def awaits(reward: GraderReward) -> None:
    await asyncio.gather(*(reward.agrade(f"answer {n}") for n in range(BATCH)))


def measurements() -> Iterator[Measurement]:
    check, both = GraderReward(CHECK), GraderReward(NAME_EMAIL)
    item = {"label": "cat"}
    person = {"name": "John Smith", "email": "john@example.org"}
    answer = '{"name": "Jon Smith", "email": "john@example.org"}'
    yield Measurement("string_check, one by one", one_by_one(check, "cat", item), "us/row", bar=5)
    yield Measurement("string_check, in 256s", in_batches(check, "cat", item), "us/row", bar=2.5)
    yield Measurement("multi of 2, one by one", one_by_one(both, answer, person), "us/row")
    yield Measurement("multi of 2, in 256s", in_batches(both, answer, person), "us/row")
    with GraderReward(JUDGE, judges=Scripted(0.5, latency_s=JUDGE_S)) as judged:
        asyncio.run(awaits(judged))
        began = time.perf_counter()
        asyncio.run(awaits(judged))
        yield Measurement("256 awaits of a 100 ms judge", time.perf_counter() - began, "s", bar=0.6)
