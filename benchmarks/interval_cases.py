"""Simulated data sets with a known mean, for counting how often a 95 % interval covers it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graders_engine.statistics.estimate import Floats, estimate_some
from graders_engine.statistics.paired import estimate_difference

Ends = tuple[float | None, float | None]
Interval = Callable[[Floats, NDArray[np.int64] | None], Ends]
DATA_SETS = 2_000


@dataclass(frozen=True, slots=True)
class SimulatedData:
    """One data set: its rows, their groups, and the mean of the distribution that they come from."""

    values: Floats
    groups: NDArray[np.int64] | None
    mean: float


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of data set.

    Attributes:
        name: the distribution of the values, and how they are grouped.
        draw: makes a data set from a random generator and a number of groups.
        differences: whether the values are differences of two runs.
        exact: whether coverage must be 95 % +- 1.5 % at 20, 50 and 200 groups. It cannot be if so few
            outcomes are possible that the coverage of every interval is discrete, or if only a handful of
            rows change; there a higher coverage is fine.
    """

    name: str
    draw: Callable[[np.random.Generator, int], SimulatedData]
    differences: bool = False
    exact: bool = True


def binary(chance: float | None) -> Callable[[np.random.Generator, int], SimulatedData]:
    def draw(random: np.random.Generator, count: int) -> SimulatedData:
        mean = float(random.uniform(0.05, 0.95)) if chance is None else chance
        return SimulatedData((random.random(count) < mean).astype(np.float64), None, mean)

    return draw


def beta(up: float, down: float) -> Callable[[np.random.Generator, int], SimulatedData]:
    return lambda random, count: SimulatedData(random.beta(up, down, count), None, up / (up + down))


def partial(random: np.random.Generator, count: int) -> SimulatedData:
    """Seven of ten rows are right; the others get partial credit."""
    values = np.where(random.random(count) < 0.7, 1.0, random.beta(2, 2, count))
    return SimulatedData(values, None, 0.85)


def binary_samples(random: np.random.Generator, count: int) -> SimulatedData:
    """Rewards of 0 or 1, one to eight samples per prompt, prompts of different difficulty."""
    sizes = random.integers(1, 9, count)
    chances = random.beta(1.4, 0.6, count)
    groups = np.repeat(np.arange(count), sizes)
    return SimulatedData(
        (random.random(len(groups)) < chances[groups]).astype(np.float64), groups, 0.7
    )


def beta_samples(random: np.random.Generator, count: int) -> SimulatedData:
    """Rewards of four samples per prompt, similar within a prompt."""
    centres = random.beta(8, 2, count)
    groups = np.repeat(np.arange(count), 4)
    return SimulatedData(random.beta(5 * centres[groups], 5 * (1 - centres[groups])), groups, 0.8)


def steps(up: float, down: float) -> Callable[[np.random.Generator, int], SimulatedData]:
    """Differences of two runs of 0/1 rewards."""

    def draw(random: np.random.Generator, count: int) -> SimulatedData:
        values = random.choice([1.0, -1.0, 0.0], count, p=[up, down, 1 - up - down])
        return SimulatedData(values, None, up - down)

    return draw


def shifts(random: np.random.Generator, count: int) -> SimulatedData:
    """Differences of two runs with similar rewards within a row."""
    common = random.beta(8, 2, count)
    values = random.beta(6 * common, 6 * (1 - common)) - random.beta(4 * common, 4 * (1 - common))
    return SimulatedData(values, None, 0.0)


CASES = [
    Case("0/1, p between 0.05 and 0.95", binary(None)),
    Case("0/1, p = 0.5", binary(0.5), exact=False),
    Case("0/1, p = 0.9", binary(0.9), exact=False),
    Case("beta(2, 2)", beta(2, 2)),
    Case("beta(8, 2)", beta(8, 2)),
    Case("beta(5, 0.5)", beta(5, 0.5)),
    Case("beta(0.3, 3)", beta(0.3, 3)),
    Case("partial credit", partial, exact=False),
    Case("0/1, 1 to 8 samples a group", binary_samples),
    Case("beta, 4 samples a group", beta_samples),
    Case("difference of 0/1, 10 % up, 5 % down", steps(0.1, 0.05), differences=True, exact=False),
    Case("difference of 0/1, 30 % up, 30 % down", steps(0.3, 0.3), differences=True),
    Case("difference of rewards, all rows", shifts, differences=True),
]


def ours(case: Case) -> Interval:
    """The interval that the engine computes for such data."""

    def of_mean(values: Floats, groups: NDArray[np.int64] | None) -> Ends:
        found = estimate_some(values, groups)
        return found.low, found.high

    def of_difference(values: Floats, groups: NDArray[np.int64] | None) -> Ends:
        found, _ = estimate_difference(np.zeros_like(values), values, groups)
        return found.low, found.high

    return of_difference if case.differences else of_mean


def covered(case: Case, count: int, interval: Interval, data_sets: int = DATA_SETS) -> float:
    """Percentage of the data sets whose interval covers the mean; those without an interval do not count."""
    random = np.random.default_rng(count)
    hits = list(_hits(case, count, interval, data_sets, random))
    return 100 * sum(hits) / len(hits)


def _hits(
    case: Case, count: int, interval: Interval, data_sets: int, random: np.random.Generator
) -> Iterator[bool]:
    for _ in range(data_sets):
        data = case.draw(random, count)
        low, high = interval(data.values, data.groups)
        if low is not None and high is not None:
            yield low <= data.mean <= high
