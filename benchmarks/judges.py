"""Judges behind HTTP on loopback, in their own process: throughput, the rate that is found, kept replies."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measurement import Measurement
from graders_engine import AsyncEngine
from graders_engine.models.judges import DEFAULT_CONCURRENCY, JudgeSettings

LATENCY_S = 0.1
ROWS = 2000
AT_ONCE = 128
TIMES = 3
PER_SECOND = 20
PACED_ROWS = 1000
PROMPT = "How good is this answer, from 0 to 1? "
GRADER = {
    "type": "score_model",
    "model": "loopback-judge",
    "input": [
        {"role": "system", "content": "You grade answers."},
        {"role": "user", "content": PROMPT + "{{sample.output_text}} Reference: {{item.answer}}"},
    ],
}


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {"item": {"answer": f"the number {n}"}, "model_sample": f"it is {n}, I think"}
        for n in range(count)
    ]


class Judge:
    """The address of a judge's process, and what it counted."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1"

    def count(self) -> dict[str, int]:
        with urllib.request.urlopen(self.url) as answer:  # noqa: S310 - the loopback judge
            counted: dict[str, int] = json.load(answer)
            return counted


@contextmanager
def judge(latency_s: float = LATENCY_S, per_second: int = 0) -> Iterator[Judge]:
    command = [
        sys.executable, "-m", "benchmarks.judge_server",
        "--latency", str(latency_s), "--per-second", str(per_second),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Judge(int(process.stdout.readline()))
        finally:
            process.terminate()


async def scored(
    settings: JudgeSettings, count: int, at_once: int = AT_ONCE
) -> tuple[float, float]:
    """Wall and CPU seconds for a number of rows, without start-up and shut-down."""
    data = rows(count)
    async with AsyncEngine(judges=settings, concurrency=at_once) as engine:
        compiled = engine.compile(GRADER)
        await engine.run(compiled, model_sample="warm", item={"answer": "up"})
        began, cpu = time.perf_counter(), time.process_time()
        rewards = [row.reward async for row in engine.score(compiled, data)]
        spent = time.perf_counter() - began, time.process_time() - cpu
    assert rewards == [0.5] * count
    return spent


async def asked_by_the_sdk(url: str, count: int) -> tuple[float, float]:
    """The same requests by a bare loop over the `openai` package."""
    import openai

    from graders_engine.graders.verdict import schema

    form: Any = {
        "type": "json_schema",
        "json_schema": {"name": "verdict", "strict": True, "schema": schema({"type": "number"})},
    }
    free = asyncio.Semaphore(AT_ONCE)
    async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:

        async def ask(row: dict[str, Any]) -> float:
            text = f"{PROMPT}{row['model_sample']} Reference: {row['item']['answer']}"
            async with free:
                answer = await client.chat.completions.create(
                    model="loopback-judge",
                    messages=[
                        {"role": "system", "content": "You grade answers."},
                        {"role": "user", "content": text},
                    ],
                    response_format=form,
                )
            return float(json.loads(answer.choices[0].message.content or "")["result"])

        await ask(rows(1)[0])
        began, cpu = time.perf_counter(), time.process_time()
        rewards = await asyncio.gather(*map(ask, rows(count)))
        assert rewards == [0.5] * count
        return time.perf_counter() - began, time.process_time() - cpu


def at(url: str, **settings: Any) -> JudgeSettings:
    return JudgeSettings(endpoints={"default": url}, concurrency=AT_ONCE, **settings)


def throughput() -> Iterator[Measurement]:
    ideal = ROWS * LATENCY_S / AT_ONCE
    with judge() as answering:
        ours = [asyncio.run(scored(at(answering.url), ROWS)) for _ in range(TIMES)]
        theirs = asyncio.run(asked_by_the_sdk(answering.url, ROWS))
        many = asyncio.run(scored(at(answering.url), 10 * ROWS))
    wall, cpu = min(ours)[0], min(spent for _, spent in ours)
    yield Measurement(f"{ROWS} rows, {AT_ONCE} at once, latency {LATENCY_S} s: ideal", ideal, "s")
    yield Measurement("the same, measured", wall, "s")
    yield Measurement(
        "share of the ideal throughput", 100 * ideal / wall, "%", bar=90, at_least=True
    )
    yield Measurement("worst of the runs", 100 * ideal / max(ours)[0], "%")
    yield Measurement("share of the ideal, ten times the rows", 1e3 * ideal / many[0], "%")
    yield Measurement("CPU a request", 1e3 * cpu / ROWS, "ms", bar=0.6)
    yield Measurement(
        "a bare openai.AsyncOpenAI loop: share of the ideal", 100 * ideal / theirs[0], "%"
    )
    yield Measurement("a bare openai.AsyncOpenAI loop: CPU a request", 1e3 * theirs[1] / ROWS, "ms")


def pace() -> Iterator[Measurement]:
    ideal = PACED_ROWS / PER_SECOND
    with judge(0.05, PER_SECOND) as answering:
        wall, _ = asyncio.run(scored(at(answering.url), PACED_ROWS))
        counted = answering.count()
    late = 100 * counted["refused_after_5_s"] / counted["asked_after_5_s"]
    yield Measurement(f"{PACED_ROWS} rows, {PER_SECOND} a second allowed", wall, "s")
    yield Measurement("over the ideal time", wall / ideal, "x", bar=1.25)
    yield Measurement("requests refused after 5 s", late, "%", bar=3)
    yield Measurement("requests refused in all", counted["refused"], "")
    yield Measurement("rows lost", PACED_ROWS + 1 - counted["answered"], "", bar=0)


def kept() -> Iterator[Measurement]:
    with tempfile.TemporaryDirectory() as folder, judge() as answering:
        settings = JudgeSettings(
            endpoints={"default": answering.url}, cache=Path(folder) / "replies.sqlite"
        )
        first, _ = asyncio.run(scored(settings, ROWS, DEFAULT_CONCURRENCY))
        before = answering.count()["asked"]
        later = [asyncio.run(scored(settings, ROWS, DEFAULT_CONCURRENCY)) for _ in range(TIMES)]
        again = answering.count()["asked"] - before
    yield Measurement(
        f"{ROWS} rows, {DEFAULT_CONCURRENCY} at once, replies kept: first run", first, "s"
    )
    second = min(later)[0]
    yield Measurement(f"best of {TIMES} later runs", second, "s")
    yield Measurement("requests of the later runs", again, "", bar=0)
    yield Measurement("first over later", first / second, "x", bar=50, at_least=True)


def measurements() -> Iterator[Measurement]:
    yield from throughput()
    yield from kept()
    yield from pace()
