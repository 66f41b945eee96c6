"""`graders score` from file to file, against reading, decoding, encoding and writing alone. Best of three."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.rows import CHECK

ROWS = 100_000
TIMES = 3
FLOOR = """
import json, sys
with open(sys.argv[1]) as rows, open(sys.argv[2], "w") as results:
    for number, line in enumerate(rows, 1):
        row = json.loads(line)
        result = {"line": number, "reward": 1.0, "status": "scored", "sub_rewards": {}, "flags": {},
                  "seconds": 3.5e-06}
        results.write(json.dumps(result) + "\\n")
"""


def write_rows(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for n in range(count):
            row = {"item": {"label": f"cat{n % 7}", "id": n}, "model_sample": f"cat{n % 3}"}
            file.write(json.dumps(row) + "\n")


def measured(command: list[str]) -> tuple[float, float]:
    """Wall seconds and peak megabytes of one process."""
    began = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def scored(folder: Path, rows: Path, name: str) -> list[str]:
    out = folder / f"{name}.jsonl"
    return [
        sys.executable, "-m", "graders_engine", "score", "--quiet", "--overwrite",
        "--grader", json.dumps(CHECK), "--data", str(rows), "--out", str(out),
    ]  # fmt: skip


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows, few = folder / "rows.jsonl", folder / "few.jsonl"
        write_rows(rows, ROWS)
        write_rows(few, ROWS // 10)
        ours, floor, peaks = [], [], []
        for _ in range(TIMES):  # taken in turns, so that a busy machine slows both
            seconds, peak = measured(scored(folder, rows, "ours"))
            ours.append(seconds)
            peaks.append(peak)
            floor.append(
                measured([sys.executable, "-c", FLOOR, str(rows), str(folder / "floor.jsonl")])[0]
            )
        _, peak_few = measured(scored(folder, few, "of_few"))
    yield Figure("100,000 string_check rows, file to file", min(ours), "s")
    yield Figure("read, json.loads, json.dumps, write: the floor", min(floor), "s")
    yield Figure("file to file over the floor", min(ours) / min(floor), "x", bar=3)
    yield Figure("peak memory, 100,000 rows", max(peaks), "MB", bar=150)
    yield Figure("peak memory, 10,000 rows", peak_few, "MB")
    yield Figure(
        "growth of the peak from 10,000 to 100,000 rows", max(peaks) - peak_few, "MB", bar=5
    )
