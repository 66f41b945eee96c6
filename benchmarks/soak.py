"""Mixed load at 80 % of the server's capacity, for a long time: do its memory and files stay bounded?

`python -m benchmarks.soak --seconds 600` starts a server and a judge with faults, measures how much of the
mix the server answers under full load, then sends 80 % of that. The bars: no error that is not the grader's,
memory at the end within 15 % of minute 2, no process or open file left behind.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.__main__ import row
from benchmarks.load import LoadResult, load
from benchmarks.measurement import Measurement
from benchmarks.server import BATCH, ROUTES, SINGLE, server

SHARE = 0.8
CONNECTIONS = 64
MINUTE_2 = 0.2
"""Where in the run the memory is measured first: minute 2 of ten."""
SPARE_FILES = 4
"""Open files that may come and go with the sandbox's workers."""
WORDS = [f"word{number}" for number in range(500)]


def text(words: int) -> str:
    return " ".join(random.choices(WORDS, k=words))  # noqa: S311 - no secret


def similarity(metric: str) -> dict[str, Any]:
    return {
        "type": "text_similarity",
        "name": metric,
        "input": "{{sample.output_text}}",
        "reference": "{{item.answer}}",
        "evaluation_metric": metric,
    }


PYTHON = {
    "type": "python",
    "name": "length",
    "source": "def grade(sample, item):\n    return len(sample['output_text']) / len(item['answer'])\n",
}
JUDGE = {
    "type": "score_model",
    "name": "judge",
    "model": "loopback-judge",
    "input": [
        {
            "role": "user",
            "content": "How good is {{sample.output_text}}, from 0 to 1? {{item.answer}}",
        }
    ],
}
MULTI = {
    "type": "multi",
    "name": "both",
    "graders": {"python": PYTHON, "rouge": similarity("rouge_l")},
    "calculate_output": "(python + rouge) / 2",
}


def mix() -> list[tuple[str, Any]]:
    """Requests in the proportions of the mix, each with a row of its own."""
    graders = [SINGLE["grader"]] * 8 + [similarity("fuzzy_match"), similarity("rouge_l")] * 3
    graders += [similarity("meteor"), PYTHON, PYTHON, MULTI, JUDGE, JUDGE]
    requests: list[tuple[str, Any]] = [
        (
            f"{ROUTES}/run",
            {
                "grader": grader,
                "model_sample": text(50),
                "item": {"answer": text(50), "label": "cat"},
            },
        )
        for _ in range(40)
        for grader in graders
    ]
    requests += [(f"{ROUTES}/run_batch", BATCH), (f"{ROUTES}/validate", {"grader": MULTI})]
    long = {
        "grader": similarity("meteor"),
        "model_sample": text(5000),
        "item": {"answer": text(5000)},
    }
    requests.append((f"{ROUTES}/run", long))
    random.shuffle(requests)
    return requests


@contextmanager
def faulty_judge() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.faulty_judge"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.terminate()


@dataclass(frozen=True, slots=True)
class Usage:
    """What the server takes of the system."""

    rss_mb: float
    files: int
    processes: int


def descendants(process_id: int) -> set[int]:
    try:
        tasks = list(Path(f"/proc/{process_id}/task").iterdir())
        children = {int(word) for task in tasks for word in (task / "children").read_text().split()}
    except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return set()
    return children.union(*map(descendants, children))


def usage(process_id: int) -> Usage:
    status = Path(f"/proc/{process_id}/status").read_text(encoding="utf-8")
    rss_kb = int(status.partition("VmRSS:")[2].split()[0])
    files = len(list(Path(f"/proc/{process_id}/fd").iterdir()))
    return Usage(rss_kb / 1024, files, len(descendants(process_id)))


def soak(seconds: float) -> Iterator[Measurement]:
    requests = mix()
    # The judge's faults are random: slowing down, as for a judge that is overloaded, would not help.
    flags = ("--no-adaptive", "--no-cache", "--judge-attempts", "2", "--judge-timeout", "1")
    with faulty_judge() as judge, server("--base-url", judge, *flags) as (port, process):
        load(port, requests, connections=CONNECTIONS, seconds=min(10.0, seconds / 10))  # warm up
        full = load(port, requests, connections=CONNECTIONS, seconds=min(30.0, seconds / 4))
        yield Measurement("the mix, under full load", full.per_second, "req/s")
        idle = at_rest(process.pid)
        results: list[LoadResult] = []
        pace = SHARE * full.per_second
        loading = threading.Thread(
            target=lambda: results.append(
                load(port, requests, connections=4 * CONNECTIONS, seconds=seconds, pace=pace)
            )
        )
        loading.start()
        time.sleep(MINUTE_2 * seconds)
        early = usage(process.pid)
        loading.join(seconds * (1 - MINUTE_2) - 2)
        late = usage(process.pid)
        loading.join()
        yield from compare(results[0], early, late)
        after = at_rest(process.pid)
        yield Measurement(
            "open files more than before", after.files - idle.files, "", bar=SPARE_FILES
        )
        yield Measurement("processes more than before", after.processes - idle.processes, "", bar=0)
        family = descendants(process.pid)
        process.terminate()
        yield Measurement("exit code after SIGTERM", process.wait(60), "", bar=0)
    left = [child for child in family if Path(f"/proc/{child}").exists()]
    for _ in range(50):  # the system takes a moment to end a namespace
        left = [child for child in left if Path(f"/proc/{child}").exists()]
        time.sleep(0.1)
    yield Measurement("processes left behind", len(left), "", bar=0)


def at_rest(process_id: int) -> Usage:
    """What it takes when the load is gone."""
    time.sleep(3)
    return usage(process_id)


def compare(result: LoadResult, early: Usage, late: Usage) -> Iterator[Measurement]:
    for wrong in result.wrong:
        print(wrong)
    yield Measurement("requests answered", result.statuses["200"], "")
    yield Measurement("errors that are not the grader's", result.errors, "", bar=0)
    yield Measurement("requests that found no free connection", result.late, "")
    yield Measurement("longest answer", result.longest_s, "s")
    yield Measurement("memory at minute 2 of ten", early.rss_mb, "MB")
    yield Measurement("memory at the end, of minute 2", late.rss_mb / early.rss_mb, "x", bar=1.15)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    met = True
    for measurement in soak(parser.parse_args().seconds):
        print(row(measurement), flush=True)
        met = met and measurement.meets_bar is not False
    sys.exit(not met)


if __name__ == "__main__":
    main()
