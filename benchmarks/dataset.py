"""`graders score` from file to file with two workers, compared with the least work that scoring needs.

The floor is two processes that read, decode, encode and write the same bytes, each half of the file, and do
nothing else. All are measured alternately, best of three, so that a busy machine slows them equally.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measurement import Measurement
from benchmarks.rows import CHECK, NAME_EMAIL

ROWS = 1_000_000
FEW_ROWS = 10_000
TIMES = 3
FLOOR = """
import sys
rows, results, start, end, library = sys.argv[1:]
if library == "json":
    import json
    decode, encode = json.loads, lambda result: json.dumps(result).encode()
else:
    import msgspec
    decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
at = int(start)
with open(rows, "rb") as lines, open(results, "wb") as out:
    lines.seek(at)
    for number, line in enumerate(lines, 1):
        decode(line)
        result = {"line": number, "reward": 1.0, "status": "scored", "sub_rewards": {}, "flags": {},
                  "seconds": 3.5e-06}
        out.write(encode(result) + b"\\n")
        at += len(line)
        if at >= int(end):
            break
"""


def write_checks(path: Path, count: int) -> None:
    """Rows of about 500 bytes."""
    words = [f"{random.Random(n).getrandbits(28):x}" for n in range(500)]  # noqa: S311 - only words
    with path.open("w", encoding="utf-8") as file:
        for n in range(count):
            start = n % 430
            row = {
                "item": {"label": f"cat{n % 7}", "id": n, "question": " ".join(words[start : start + 28])},
                "model_sample": f"cat{n % 3}",
                "notes": " ".join(words[start + 28 : start + 52]),
            }  # fmt: skip
            file.write(json.dumps(row) + "\n")


def write_people(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for n in range(count):
            item = {"name": f"John Smith {n % 7}", "email": "john@example.org"}
            sample = json.dumps({**item, "name": "Jon Smith"})
            file.write(json.dumps({"item": item, "model_sample": sample}) + "\n")


def halves(path: Path) -> list[tuple[int, int]]:
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(size // 2)
        file.readline()
        return [(0, file.tell()), (file.tell(), size)]


def floor(folder: Path, rows: Path, library: str) -> float:
    began = time.perf_counter()
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                FLOOR,
                rows,
                folder / f"floor{start}",
                str(start),
                str(end),
                library,
            ]
        )
        for start, end in halves(rows)
    ]
    assert not any(process.wait() for process in processes)
    return time.perf_counter() - began


def scored(rows: Path, grader: dict[str, Any], workers: int, *more: str) -> tuple[float, float]:
    """Wall seconds of the whole command, and the peak megabytes of the largest of its processes."""
    command = [
        sys.executable, "-m", "graders_engine", "score", "--quiet", "--workers", str(workers),
        "--grader", json.dumps(grader), "--data", str(rows), "--out", f"{rows}.results.jsonl", *more,
    ]  # fmt: skip
    began = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)  # its children's peak, too, once they have ended
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def measurements() -> Iterator[Measurement]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        checks, few, people = folder / "checks", folder / "few", folder / "people"
        write_checks(checks, ROWS)
        write_checks(few, FEW_ROWS)
        write_people(people, ROWS)
        ours, peaks, plain, quick, one, two = [], [], [], [], [], []
        for _ in range(TIMES):
            seconds, peak = scored(checks, CHECK, 2, "--overwrite")
            ours.append(seconds)
            peaks.append(peak)
            plain.append(floor(folder, checks, "json"))
            quick.append(floor(folder, checks, "msgspec"))
            one.append(scored(people, NAME_EMAIL, 1, "--overwrite")[0])
            two.append(scored(people, NAME_EMAIL, 2, "--overwrite")[0])
        again = min(scored(checks, CHECK, 2)[0] for _ in range(TIMES))
        _, peak_few = scored(few, CHECK, 2, "--overwrite")
    yield Measurement("1,000,000 string_check rows of 500 bytes, 2 workers", min(ours), "s")
    yield Measurement("the floor, with the standard library's json", min(plain), "s")
    yield Measurement("over that floor", min(ours) / min(plain), "x", bar=1.6)
    yield Measurement("the floor, with msgspec", min(quick), "s")
    yield Measurement("over that floor", min(ours) / min(quick), "x", bar=2.2)
    yield Measurement("peak memory of any process", max(peaks), "MB", bar=200)
    yield Measurement("growth of the peak from 10,000 rows", max(peaks) - peak_few, "MB", bar=30)
    yield Measurement("the same command again: nothing left to score", again, "s")
    yield Measurement("1,000,000 rows of the name/email multi, 1 worker", min(one), "s")
    yield Measurement(
        "its rows a second with 2 workers", min(one) / min(two), "x", 1.8, at_least=True
    )
