"""The report of 100,000 rows, four samples per prompt: time to write it, its size, time to open it."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.measurement import Measurement
from benchmarks.rows import NAME_EMAIL
from tests.report.browser import find_browser, open_browser

ROWS, SAMPLES = 100_000, 4
TIMES = 5
GRADERS = [sys.executable, "-m", "graders_engine"]


def write_rows(path: Path, count: int) -> None:
    chance = random.Random(7)  # noqa: S311 - made-up rows, not a secret
    with path.open("w", encoding="utf-8") as file:
        for n in range(count // SAMPLES):
            name, email = f"Jane {n} Roe", f"jane{n}@example.org"
            answers = [
                {"name": name[: chance.randint(3, len(name))], "email": chance.choice([email, "?"])}
                for _ in range(SAMPLES)
            ]
            texts = ["no JSON" if chance.random() < 0.02 else json.dumps(one) for one in answers]
            row = {"item": {"name": name, "email": email}, "samples": texts}
            file.write(json.dumps(row) + "\n")


def score_rows(folder: Path, count: int) -> Path:
    """A results file of so many rows."""
    rows, results = folder / f"rows{count}.jsonl", folder / f"results{count}.jsonl"
    write_rows(rows, count)
    score = [
        "score",
        "--quiet",
        "--grader",
        json.dumps(NAME_EMAIL),
        "--data",
        rows,
        "--out",
        results,
    ]
    subprocess.run([*GRADERS, *map(str, score)], check=True)
    return results


def time_report(results: Path, page: Path) -> tuple[float, float]:
    """Wall seconds and peak memory, in megabytes, of `graders report`."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [*GRADERS, "report", str(results), "--out", str(page)], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return time.perf_counter() - began, usage.ru_maxrss / 1024


async def load_ms(browser: str, page_file: Path, profile: Path) -> tuple[float, int]:
    """Milliseconds until the page is painted, and how many console messages there were."""
    async with open_browser(browser, profile) as page:
        timing = await page.open(page_file)
        return timing["painted"], len(page.messages)


def measurements() -> Iterator[Measurement]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for count in (ROWS, 10 * ROWS):
            page = folder / f"report{count}.html"
            seconds, peak = time_report(score_rows(folder, count), page)
            yield Measurement(f"graders report, {count:,} rows", seconds, "s")
            yield Measurement(f"peak memory, {count:,} rows", peak, "MB")
        page = folder / f"report{ROWS}.html"
        yield Measurement("the page of 100,000 rows", page.stat().st_size / 1000, "kB", bar=500)
        browser = find_browser()
        if browser is None:
            return
        loads = [asyncio.run(load_ms(browser, page, folder / f"profile{n}")) for n in range(TIMES)]
        times, messages = zip(*loads, strict=True)
        yield Measurement(
            "painted in headless Chromium, median of 5",
            median(times),
            "ms",
            bar=1000,
        )
        yield Measurement("the same, slowest of 5", max(times), "ms")
        yield Measurement("console messages", sum(messages), "", bar=0)
