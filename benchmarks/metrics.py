"""The text metrics compared with the packages that define them, in one run.

All get the same new pairs, each pair once, so that no cache of whole texts helps any of them. Caches of
words are warm. Times are CPU time; a ratio compares the best rounds. Where the compiled metrics are
used, those in Python are measured beside them.
"""

from __future__ import annotations

import gc
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice, product
from pathlib import Path

from benchmarks.measurement import Measurement
from benchmarks.metrics_peers import Metric, direct, find_wordnet, rouge_score_rs
from benchmarks.metrics_texts import Texts
from graders_engine.metrics import METRICS, core, load, load_pure

ROUNDS = 7
PAIRS = {20: 200, 200: 30, 2000: 4}
"""Tokens per text -> pairs per round."""


def _unknown_words(start: str) -> str:
    letters = "aeiomnrstuv"
    words = ("".join(word) for word in product(letters, repeat=4))
    return " ".join(f"{start}{word}ses" for word in islice(words, 10_000))


SHAPES: dict[str, Callable[[], tuple[str, str]]] = {
    "words": lambda: Texts(seed=7).characters(100_000),
    "new words": lambda: (" ".join(map(str, range(20_000))), " ".join(map(str, range(9, 20_009)))),
    # Every word is unknown and occurs once, so no look-up of a stem or synonym is cached.
    "unknown words": lambda: (_unknown_words("ba"), _unknown_words("ne")),
    "one word": lambda: ("a " * 50_000, "b a " * 25_000),
    "one token": lambda: ("ab" * 50_000, "ba" * 50_000),
    "marks": lambda: (". " * 50_000, "1,2-" * 25_000),
}
"""Pairs of texts of about 100 kB."""

NOISE = 0.85
"""Bar for the ratio of fuzzy_match. Below `fuzzy.LONG`, both sides are one call of rapidfuzz of half a
microsecond; ours also checks the length (about 20 ns), and the noise of a shared machine is larger than
that. The bar of all other ratios is 1."""

COMPILED = core.ACTIVE == "compiled"

MEAN, PURE_MEAN = 35.0, 6.0
"""Bars for the geometric mean of the ratios to the packages: compiled, and in Python."""

RUST = 1.8
"""Bar for each ratio to rouge-score-rs, which the compiled metrics are to keep."""

COLD_METEOR = """
import time
start = time.perf_counter()
from graders_engine.metrics import load
load("meteor")("a quick car stopped near the bridges", "the fast automobile halted by a bridge")
print(time.perf_counter() - start)
"""


def measurements() -> Iterator[Measurement]:
    """All measurements; takes half a minute to a minute."""
    problem = find_wordnet()
    if problem:
        print(f"METEOR is not compared: {problem}", file=sys.stderr)
    peers = direct(meteor=problem is None)
    texts = Texts(seed=20_250_508)
    # Warm the caches of words: both sides see every word once, but none of the texts.
    for name, peer in peers.items():
        for metric in (*_ours(name), peer):
            for words in texts.vocabulary():
                metric(words, "none of them")
    # nltk's WordNet is a million objects, which the garbage collector would visit during the measurements.
    gc.collect()
    gc.freeze()
    yield from _against_packages(peers, texts)
    yield from _against_rust(texts, "default")
    yield from _against_rust(texts, "stem")
    yield from _large()
    yield _cold_meteor()


def _ours(name: str) -> list[Metric]:
    """The function that is used, and behind a compiled one that in Python."""
    used, pure = load(name), load_pure(name)
    return [used] if used is pure else [used, pure]


def _against_packages(peers: dict[str, Metric], texts: Texts) -> Iterator[Measurement]:
    ratios, pure_ratios, slowest = [], [], []
    for tokens, pairs in PAIRS.items():
        for name, peer in peers.items():
            slow = name == "rouge_l" and tokens == 2000  # almost a second a pair
            *ours_us, peer_us = _race(
                [*_ours(name), peer], texts, tokens, 1 if slow else pairs, 3 if slow else ROUNDS
            )
            ratio = peer_us / ours_us[0]
            ratios.append(ratio)
            pure_ratios.append(peer_us / ours_us[-1])
            slowest += [pure_ratios[-1]] if name != "fuzzy_match" else []
            bar = NOISE if name == "fuzzy_match" else 500.0 if slow else 1.0
            yield Measurement(f"{name}, {tokens} tokens", ours_us[0], "us/pair")
            yield Measurement(f"{name}, {tokens} tokens, package / ours", ratio, "x", bar, True)
            if len(ours_us) > 1:
                yield Measurement(
                    f"{name}, {tokens} tokens, Python / compiled", ours_us[1] / ours_us[0], "x"
                )
    if COMPILED:
        yield Measurement(
            f"geometric mean of {len(ratios)} ratios, compiled", _mean(ratios), "x", MEAN, True
        )
    yield Measurement(
        f"geometric mean of {len(ratios)} ratios, in Python",
        _mean(pure_ratios), "x", PURE_MEAN, True,
    )  # fmt: skip
    yield Measurement("smallest ratio except fuzzy_match, in Python", min(slowest), "x", 1.0, True)


def _mean(ratios: list[float]) -> float:
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def _against_rust(texts: Texts, variant: str) -> Iterator[Measurement]:
    peers = rouge_score_rs(variant == "stem")
    if not peers:
        print("rouge-score-rs is not installed: it is not compared", file=sys.stderr)
        return
    for words in texts.vocabulary():  # the stem of each, for both
        load("rouge_1", variant)(words, "none of them")
        peers["rouge_1"](words, "none of them")
    ratios = []
    for tokens, pairs in PAIRS.items():
        for name, peer in peers.items():
            ours_us, peer_us = _race([load(name, variant), peer], texts, tokens, pairs, ROUNDS)
            ratios.append(peer_us / ours_us)
            label = f"{name} {variant}, {tokens} tokens, rouge-score-rs / ours"
            yield Measurement(label, ratios[-1], "x", RUST if COMPILED else None, True)
    label = f"geometric mean of {len(ratios)} ratios to rouge-score-rs, {variant}"
    yield Measurement(label, _mean(ratios), "x")


def _race(sides: list[Metric], texts: Texts, tokens: int, pairs: int, rounds: int) -> list[float]:
    """Microseconds per pair of each side, from its best round; checks that all of them agree."""
    best = [math.inf] * len(sides)
    for turn in range(-1, rounds):
        batch = [texts.pair(tokens) for _ in range(pairs)]
        timed = [_timed(side, batch) for side in sides]
        for _, values in timed:
            for value, expected in zip(values, timed[-1][1], strict=True):
                assert abs(min(value, 1.0) - min(expected, 1.0)) <= 1e-12
        if turn >= 0:  # round -1 only warms the caches
            best = [min(old, seconds) for old, (seconds, _) in zip(best, timed, strict=True)]
    return [seconds / pairs * 1e6 for seconds in best]


def _timed(metric: Metric, batch: list[tuple[str, str]]) -> tuple[float, list[float]]:
    start = time.process_time_ns()
    values = [metric(answer, reference) for answer, reference in batch]
    return (time.process_time_ns() - start) / 1e9, values


def _large() -> Iterator[Measurement]:
    """The worst of several shapes of text, each in its own process, to measure its peak memory."""
    for name in METRICS:
        worst_s = worst_mb = 0.0
        for shape in SHAPES:
            command = [sys.executable, "-m", "benchmarks.metrics", name, shape]
            seconds, megabytes = map(float, subprocess.check_output(command).split())
            worst_s, worst_mb = max(worst_s, seconds), max(worst_mb, megabytes)
        yield Measurement(f"{name}, 100 kB and 100 kB", worst_s, "s", 0.5)
        yield Measurement(f"{name}, 100 kB and 100 kB, additional memory", worst_mb, "MB", 200.0)


def _measure(name: str, shape: str) -> tuple[float, float]:
    """Seconds for one pair, and growth of the process's peak memory in MB over that of a short pair."""
    metric = load(name)
    pair = SHAPES[shape]()
    metric("a cat sat", "the cats sat")
    before_mb = _peak_mb()
    seconds, _ = _timed(metric, [pair])
    return seconds, _peak_mb() - before_mb


def _peak_mb() -> float:
    # Not getrusage, whose peak includes that of the process that started this one.
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line
    )
    return int(line.split()[1]) / 1e3


def _cold_meteor() -> Measurement:
    command = [sys.executable, "-c", COLD_METEOR]
    seconds = min(float(subprocess.check_output(command)) for _ in range(3))
    return Measurement("first METEOR score in a fresh process, with the import", seconds, "s", 0.4)


if __name__ == "__main__":
    print(*_measure(sys.argv[1], sys.argv[2]))
