"""Coverage of 95 % intervals over 2,000 data sets: ours and two group bootstraps; the time that ours take."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import special  # type: ignore[import-untyped]  # scipy ships no type information

from benchmarks.interval_cases import CASES, Ends, covered, ours
from benchmarks.measurement import Measurement
from graders_engine.statistics.estimate import Floats, clusters, estimate
from graders_engine.statistics.paired import paired

GROUPS = (20, 50, 200)
RESAMPLES = 499


def resampled(
    values: Floats, groups: NDArray[np.int64] | None, random: np.random.Generator
) -> Floats:
    """The means of `RESAMPLES` samples of the groups, taken with replacement."""
    clustered = clusters(values, groups)
    count = len(clustered.sums)
    chosen = random.integers(0, count, (RESAMPLES, count))
    means: Floats = clustered.sums[chosen].sum(1) / clustered.sizes[chosen].sum(1)
    return means


def percentile(values: Floats, groups: NDArray[np.int64] | None) -> Ends:
    low, high = np.quantile(resampled(values, groups, np.random.default_rng(0)), (0.025, 0.975))
    return float(low), float(high)


def bca(values: Floats, groups: NDArray[np.int64] | None) -> Ends:
    """Efron 1987, JASA 82: bias-corrected and accelerated."""
    means = resampled(values, groups, np.random.default_rng(0))
    clustered = clusters(values, groups)
    parts = clustered.influences()
    if not parts.any():
        return clustered.mean, clustered.mean
    below = np.mean(means < clustered.mean) + 0.5 * np.mean(means == clustered.mean)
    bias = special.ndtri(np.clip(below, 1e-3, 1 - 1e-3))
    pull = np.sum(parts**3) / (6 * np.sum(parts**2) ** 1.5)
    ends = bias + special.ndtri((0.025, 0.975))
    low, high = np.quantile(means, special.ndtr(bias + ends / (1 - pull * ends)))
    return float(low), float(high)


def milliseconds(rows: int, size: int) -> tuple[float, float]:
    random = np.random.default_rng(0)
    before, groups = random.beta(2, 2, rows), np.arange(rows) // size
    after = np.clip(before + random.normal(0.01, 0.1, rows), 0, 1)
    began = time.perf_counter()
    estimate(before, groups)
    between = time.perf_counter()
    paired(before, after, groups)
    return 1000 * (between - began), 1000 * (time.perf_counter() - between)


def measurements() -> Iterator[Measurement]:
    for count in GROUPS:
        for case in CASES:
            name = f"{count} groups, {case.name}"
            yield Measurement(name, covered(case, count, ours(case)), "%")
            yield Measurement("  percentile bootstrap", covered(case, count, percentile), "%")
            yield Measurement("  BCa bootstrap", covered(case, count, bca), "%")
    mean, difference = milliseconds(100_000, 4)
    yield Measurement("mean of 100,000 rows in 25,000 groups", mean, "ms")
    yield Measurement("the whole comparison of 100,000 pairs", difference, "ms")
