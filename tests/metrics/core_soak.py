"""The compiled metrics compared with those in Python at length; no part of the test suite.

    python -m tests.metrics.core_soak [--pairs N] [--size CHARACTERS] [--calls N] [--seed N]

Random pairs for each metric, singly and in batches; hostile texts, with their slowest call and the
process's peak memory; the growth of memory over many calls; six threads at once. Ends with an error at
the first value that differs by a bit. `.ci/native` runs it, with the compilers' sanitizers as well.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from graders_engine.metrics import core, load, load_batch, load_pure

from .cores import COMPILED
from .hostile import SHAPES, random_pair

GROWTH_KB = 1_000
"""Memory that the process may gain over the calls: a leak of 20 bytes a call would be as much."""

LONG = 15_000
"""Characters of each text from which other threads run during a call."""


def main() -> None:
    """Run all of it; prints a line for each part."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=300_000)
    parser.add_argument("--calls", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))  # noqa: S311 - texts
    chosen = parser.parse_args()
    if core.ACTIVE == "pure":
        sys.exit(f"there is nothing to compare: {core.REASON}")
    print(f"Python {sys.version.split()[0]}, --seed {chosen.seed}")  # noqa: T201 - as below
    dice = random.Random(chosen.seed)  # noqa: S311 - texts, not secrets
    lines = chain(
        _random_pairs(dice, chosen.pairs),
        _hostile(chosen.size),
        _growth(dice, chosen.calls),
        _threads(max(chosen.size // 10, LONG)),
    )
    for line in lines:
        print(line, flush=True)  # noqa: T201 - what this script is for


def _random_pairs(dice: random.Random, count: int) -> Iterator[str]:
    made = [random_pair(dice) for _ in range(count)]
    answers, references = [pair[0] for pair in made], [pair[1] for pair in made]
    for names in COMPILED:
        values = [*map(load(*names), answers, references)]
        for place, value in enumerate(map(load_pure(*names), answers, references)):
            assert value == values[place], (names, *made[place])
        batch = load_batch(*names)
        assert batch is None or batch(answers, references) == values, names
    yield f"{count} random pairs, {len(COMPILED)} metrics, singly and in a batch: 0 differences"


def _hostile(size: int) -> Iterator[str]:
    slowest, where = 0.0, ""
    for shape, make in SHAPES.items():
        pair = make(size)
        for names in COMPILED:
            start = time.thread_time()
            value = load(*names)(*pair)
            took = time.thread_time() - start
            assert value == load_pure(*names)(*pair), (names, shape)
            if took > slowest:
                slowest, where = took, f"{'-'.join(names)}, {shape}"
    yield f"{len(SHAPES)} hostile shapes of {size} characters: 0 differences"
    yield f"  slowest call {slowest:.3f} s ({where}); peak of the process {_memory_kb('VmHWM')} kB"


def _growth(dice: random.Random, calls: int) -> Iterator[str]:
    made = [random_pair(dice) for _ in range(200)]

    def call_all() -> None:
        for call in range(calls):
            load(*COMPILED[call % len(COMPILED)])(*made[call % len(made)])

    call_all()
    before = _memory_kb("VmRSS")
    call_all()
    grown = _memory_kb("VmRSS") - before
    assert grown < GROWTH_KB, f"{grown} kB more after {calls} calls"
    yield f"{calls} calls: {grown} kB more memory"


def _threads(size: int) -> Iterator[str]:
    work = [(load(*names), *make(size)) for names in COMPILED for make in SHAPES.values()]
    expected = [metric(answer, reference) for metric, answer, reference in work]
    with ThreadPoolExecutor(6) as threads:
        for _ in range(5):
            assert [*threads.map(lambda job: job[0](*job[1:]), work)] == expected
    yield f"6 threads at once, texts of {size} characters: 0 differences"


def _memory_kb(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


if __name__ == "__main__":
    main()
