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
from collections.abc import Callable, Iterator
from itertools import islice, product
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.metrics_peers import Metric, direct, find_wordnet, rouge_score_rs
from benchmarks.metrics_texts import Texts
from graders_engine.metrics import METRICS, load

ROUNDS = 7
PAIRS = {20: 200, 200: 30, 2000: 4}
"""Tokens of a text -> pairs in a round."""


def _strange_words(start: str) -> str:
    letters = "aeiomnrstuv"
    words = ("".join(word) for word in product(letters, repeat=4))
    return " ".join(f"{start}{word}ses" for word in islice(words, 10_000))


SHAPES: dict[str, Callable[[], tuple[str, str]]] = {
    "words": lambda: Texts(seed=7).characters(100_000),
    "new words": lambda: (" ".join(map(str, range(20_000))), " ".join(map(str, range(9, 20_009)))),
    # No word twice, none known: every stem and synonym is looked up for the first time.
    "strange words": lambda: (_strange_words("ba"), _strange_words("ne")),
    "one word": lambda: ("a " * 50_000, "b a " * 25_000),
    "one token": lambda: ("ab" * 50_000, "ba" * 50_000),
    "marks": lambda: (". " * 50_000, "1,2-" * 25_000),
}
"""Pairs of texts of about 100 kB."""

NOISE = 0.85
"""fuzzy_match below `fuzzy.LONG` is one call of rapidfuzz on both sides, half a microsecond: equal
but for a look at the length (some 20 ns) and the noise of a shared machine, which moves single
figures by more. All other ratios are held against 1."""

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
    # Warm: every word has been seen once by both sides, though not these texts.
    for name, peer in peers.items():
        for metric in (load(name), peer):
            for words in texts.vocabulary():
                metric(words, "none of them")
    # nltk's WordNet is a million objects; the collector would visit them at either side's cost.
    gc.collect()
    gc.freeze()
    yield from _against_packages(peers, texts)
    yield from _against_rust(texts)
    yield from _large()
    yield _cold_meteor()


def _against_packages(peers: dict[str, Metric], texts: Texts) -> Iterator[Figure]:
    ratios, slowest = [], []
    for tokens, pairs in PAIRS.items():
        for name, peer in peers.items():
            slow = name == "rouge_l" and tokens == 2000  # almost a second a pair
            own_us, peer_us = _race(
                load(name), peer, texts, tokens, 1 if slow else pairs, 3 if slow else ROUNDS
            )
            ratio = peer_us / own_us
            ratios.append(ratio)
            slowest += [ratio] if name != "fuzzy_match" else []
            bar = NOISE if name == "fuzzy_match" else 500.0 if slow else 1.0
            yield Figure(f"{name}, {tokens} tokens", own_us, "us/pair")
            yield Figure(f"{name}, {tokens} tokens, package / own", ratio, "x", bar, True)
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    yield Figure(f"geometric mean of {len(ratios)} ratios", mean, "x", 6.0, True)
    yield Figure("smallest ratio but for fuzzy_match", min(slowest), "x", 1.0, True)


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
    values = [metric(answer, reference) for answer, reference in batch]
    return (time.process_time_ns() - start) / 1e9, values


def _large() -> Iterator[Figure]:
    """The worst of several shapes of text, each in a process of its own so that its peak shows."""
    for name in METRICS:
        worst_s = worst_mb = 0.0
        for shape in SHAPES:
            command = [sys.executable, "-m", "benchmarks.metrics", name, shape]
            seconds, megabytes = map(float, subprocess.check_output(command).split())
            worst_s, worst_mb = max(worst_s, seconds), max(worst_mb, megabytes)
        yield Figure(f"{name}, 100 kB against 100 kB", worst_s, "s", 0.5)
        yield Figure(f"{name}, 100 kB against 100 kB, more memory", worst_mb, "MB", 200.0)


def _measure(name: str, shape: str) -> tuple[float, float]:
    """Seconds for one pair, and by how many MB the process's peak grew over a short pair's."""
    metric = load(name)
    pair = SHAPES[shape]()
    metric("a cat sat", "the cats sat")
    before_mb = _peak_mb()
    seconds, _ = _timed(metric, [pair])
    return seconds, _peak_mb() - before_mb


def _peak_mb() -> float:
    # Not getrusage: its peak is that of the process that started this one.
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line
    )
    return int(line.split()[1]) / 1e3


def _cold_meteor() -> Figure:
    command = [sys.executable, "-c", COLD_METEOR]
    seconds = min(float(subprocess.check_output(command)) for _ in range(3))
    return Figure("first METEOR score in a fresh process, with the import", seconds, "s", 0.4)


if __name__ == "__main__":
    print(*_measure(sys.argv[1], sys.argv[2]))
