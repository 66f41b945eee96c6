"""The text metrics against the packages that define them, side by side in one run.

Both sides get the same fresh pairs, each pair once, so that no cache of whole texts helps either.
Caches of words are warm on both sides. Times are CPU time; a ratio compares the best rounds.
"""

from __future__ import annotations

import gc
import math
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator

from benchmarks.figure import Figure
from benchmarks.metrics_peers import ROUGE_TYPES, Metric, direct, find_wordnet, rouge_score_rs
from benchmarks.metrics_texts import Texts
from graders_engine.metrics import METRICS, load

ROUNDS = 7
PAIRS = {20: 200, 200: 30, 2000: 4}
"""Tokens of a text -> pairs in a round."""

NOISE = 0.9
"""fuzzy_match below `fuzzy.LONG` is one call of rapidfuzz on both sides: equal but for noise, a
shared machine's single figures move by some per cent. All other ratios are held against 1."""

COLD_METEOR = """
import time
start = time.perf_counter()
from graders_engine.metrics import load
load("meteor")("a quick car stopped near the bridges", "the fast automobile halted by a bridge")
print(time.perf_counter() - start)
"""


def figures() -> Iterator[Figure]:
    """All figures; half a minute to a minute."""
    problem = find_wordnet()
    if problem:
        print(f"METEOR is not compared: {problem}", file=sys.stderr)
    peers = direct(meteor=problem is None)
    texts = Texts(seed=20_250_508)
    yield from _against_packages(peers, texts)
    yield from _against_rust(texts)
    yield from _large(texts)
    yield _cold_meteor()


def _against_packages(peers: dict[str, Metric], texts: Texts) -> Iterator[Figure]:
    ratios = []
    for tokens, pairs in PAIRS.items():
        for name, peer in peers.items():
            slow = name == "rouge_l" and tokens == 2000  # almost a second a pair
            own_us, peer_us = _race(
                load(name), peer, texts, tokens, 1 if slow else pairs, 3 if slow else ROUNDS
            )
            ratio = peer_us / own_us
            ratios.append(ratio)
            bar = NOISE if name == "fuzzy_match" else 500.0 if slow else 1.0
            yield Figure(f"{name}, {tokens} tokens", own_us, "us/pair")
            yield Figure(f"{name}, {tokens} tokens, package / own", ratio, "x", bar, True)
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    yield Figure(f"geometric mean of {len(ratios)} ratios", mean, "x", 6.0, True)
    yield Figure("smallest ratio", min(ratios), "x", NOISE, True)


def _against_rust(texts: Texts) -> Iterator[Figure]:
    peers = rouge_score_rs()
    for tokens, pairs in PAIRS.items():
        for name, peer in peers.items():
            own_us, peer_us = _race(load(name), peer, texts, tokens, pairs, ROUNDS)
            yield Figure(f"{name}, {tokens} tokens, rouge-score-rs / own", peer_us / own_us, "x")


def _race(
    own: Metric, peer: Metric, texts: Texts, tokens: int, pairs: int, rounds: int
) -> tuple[float, float]:
    """Microseconds a pair, own and peer, the best round of each; the values must agree."""
    best_own = best_peer = math.inf
    for turn in range(-1, rounds):
        batch = [texts.pair(tokens) for _ in range(pairs)]
        own_s, own_values = _timed(own, batch)
        peer_s, peer_values = _timed(peer, batch)
        for mine, theirs in zip(own_values, peer_values, strict=True):
            assert abs(mine - min(theirs, 1.0)) <= 1e-12
        if turn >= 0:  # the round before the first only warms the caches
            best_own, best_peer = min(best_own, own_s), min(best_peer, peer_s)
    return best_own / pairs * 1e6, best_peer / pairs * 1e6


def _timed(metric: Metric, batch: list[tuple[str, str]]) -> tuple[float, list[float]]:
    start = time.process_time_ns()
    values = [metric(input, reference) for input, reference in batch]
    return (time.process_time_ns() - start) / 1e9, values


def _large(texts: Texts) -> Iterator[Figure]:
    shapes: dict[str, Callable[[], tuple[str, str]]] = {
        "words": lambda: texts.characters(100_000),
        "one word again and again": lambda: ("a " * 50_000, "b a " * 25_000),
        "no spaces": lambda: ("ab" * 50_000, "ba" * 50_000),
    }
    for name in METRICS:
        worst_s, worst_mb = 0.0, 0.0
        for make in shapes.values():
            batch = [make()]
            worst_s = max(worst_s, _timed(load(name), batch)[0])
            gc.collect()
            tracemalloc.start()
            _timed(load(name), batch)
            worst_mb = max(worst_mb, tracemalloc.get_traced_memory()[1] / 1e6)
            tracemalloc.stop()
        yield Figure(f"{name}, 100 kB against 100 kB", worst_s, "s", 0.5)
        yield Figure(f"{name}, 100 kB against 100 kB, peak memory", worst_mb, "MB", 200.0)


def _cold_meteor() -> Figure:
    command = [sys.executable, "-c", COLD_METEOR]
    seconds = min(float(subprocess.check_output(command)) for _ in range(3))
    return Figure("first METEOR score in a fresh process, with the import", seconds, "s", 0.4)


__all__ = ["ROUGE_TYPES", "figures"]
