"""The page on a run of 1,000,000 rows: first open, open again, filter, sort, page, search, memory."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

from benchmarks.measurement import Measurement

PROMPTS, SAMPLES = 250_000, 4
SYLLABLES = [
    *("ba", "be", "bi", "bo", "da", "de", "di", "do", "fa", "la", "le", "li", "lo"),
    *("ma", "me", "mi", "ra", "re", "ri", "ro", "sa", "se", "ta", "te", "ti", "va", "ve"),
]
GRADER = {
    "type": "multi",
    "name": "invoices",
    "graders": {
        key: {
            "type": "string_check",
            "name": key,
            "operation": "eq",
            "input": f"{{{{sample.output_json.{key}}}}}",
            "reference": f"{{{{item.{key}}}}}",
        }
        for key in ("vendor", "date", "currency", "total")
    },
    "calculate_output": "0.4 * vendor + 0.2 * date + 0.1 * currency + 0.3 * total",
}


def words(drawn: random.Random, count: int) -> str:
    return " ".join("".join(drawn.choices(SYLLABLES, k=2)) for _ in range(count))


def invoice(drawn: random.Random) -> dict[str, object]:
    return {
        "vendor": words(drawn, 2).title(),
        "date": f"20{drawn.randrange(19, 27)}-{drawn.randrange(1, 13):02}-{drawn.randrange(1, 29):02}",
        "currency": drawn.choice(("EUR", "USD", "CHF")),
        "total": round(drawn.uniform(10, 9999), 2),
    }


def sample(drawn: random.Random, truth: dict[str, object]) -> str:
    if drawn.random() < 0.136:
        return f"The vendor is {truth['vendor']}, I think; {words(drawn, 8)}"
    wrong = {key: value for key, value in invoice(drawn).items() if drawn.random() < 0.2}
    return json.dumps({**truth, **wrong, "notes": words(drawn, 6)})


def make(folder: Path, prompts: int = PROMPTS) -> Path:
    """A data set and its results, as `graders score` makes them."""
    drawn = random.Random(18)  # noqa: S311 - no secret
    data, results = folder / "data.jsonl", folder / "results.jsonl"
    with data.open("w", encoding="utf-8") as file:
        for number in range(prompts):
            truth = invoice(drawn)
            item = {"id": f"inv-{number}", "text": words(drawn, 40), **truth}
            samples = [sample(drawn, truth) for _ in range(SAMPLES)]
            file.write(json.dumps({"item": item, "samples": samples}) + "\n")
    grader = folder / "grader.json"
    grader.write_text(json.dumps(GRADER), encoding="utf-8")
    command = ["score", str(grader), "--data", str(data), "--out", str(results), "--quiet"]
    subprocess.run([sys.executable, "-m", "graders_engine", *command], check=True)
    return results


AGAIN = """
import sys, time
started = time.perf_counter()
from pathlib import Path
from graders_engine.view.loading.run_cache import RunCache
from graders_engine.view.query import parse_query
run = RunCache().open(Path(sys.argv[1]))
while run.ready():
    time.sleep(0.01)
run.rows(parse_query("")).indexes()
print(time.perf_counter() - started)
"""
PAGES = ("page=1", "page=8842", "row=555%233", "sort=-reward&page=7", "status=invalid&page=20")


def timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def resident_mb() -> float:
    """The memory of this process, with the files that it maps."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS:"))


def measurements() -> Iterator[Measurement]:
    """Making the run takes about a minute, and a gigabyte of disk."""
    from graders_engine.view.loading.run_cache import RunCache
    from graders_engine.view.query import parse_query

    with tempfile.TemporaryDirectory() as kept:
        os.environ["XDG_CACHE_HOME"] = str(Path(kept, "cache"))
        at = os.environ.get("BENCH_RUN")  # one that is there
        results = Path(at) if at else make(Path(kept))
        run = RunCache().open(results)

        def open_run() -> None:
            while run.ready():
                time.sleep(0.01)

        def page(query: str) -> None:
            selection = run.rows(parse_query(query))
            run.texts(selection.indexes())

        def search(words: str) -> None:
            query = parse_query(urlencode({"q": words}))
            while not (state := run.rows(query).search) or not state.done:
                pass

        yield Measurement("1,000,000 rows, first open", timed(open_run), "s", bar=8)
        command = [sys.executable, "-c", AGAIN, str(results)]
        again = [float(subprocess.check_output(command)) for _ in range(3)]
        yield Measurement("again, with the start of Python's modules", min(again), "s", bar=1)
        timed(lambda: page(""))
        for name, query in (
            ("filter by status", "status=failed"),
            ("filter by a range", "reward=0.2..0.4"),
            ("sort by reward", "sort=-reward"),
            ("sort by a part, filtered", "sort=sub.vendor&status=scored"),
        ):
            took = timed(lambda query=query: page(query))  # type: ignore[misc] # bound at once
            yield Measurement(name, took * 1e3, "ms", bar=300)
        for query in PAGES:
            page(query)
        took = median(timed(lambda query=query: page(query)) for query in PAGES * 5)  # type: ignore[misc]
        yield Measurement("a page of 50 rows with texts, median", took * 1e3, "ms", bar=100)
        yield Measurement("search for the first time", timed(lambda: search("EUR 721")), "s", bar=3)
        yield Measurement("narrowed", timed(lambda: search("EUR 7215")), "s", bar=0.5)
        yield Measurement("repeated", timed(lambda: search("EUR 7215")) * 1e3, "ms", bar=100)
        yield Measurement(
            "search for a rare word", timed(lambda: search("8842.17")) * 1e3, "ms", bar=300
        )
        yield Measurement("search for a word in a third", timed(lambda: search("usd")), "s", bar=3)
        yield Measurement("memory with all that", resident_mb(), "MB", bar=300)
        run.close()
