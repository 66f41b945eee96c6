"""A mean's interval: its coverage, its clustering by group, and data that determine no interval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no type information

from benchmarks.interval_cases import CASES, Case, beta_samples, covered, ours
from graders_engine.statistics.estimate import Floats, clusters, estimate, estimate_some

DATA_SETS = 4_000
"""The simulation's error is then 0.35 %; `python -m benchmarks intervals` prints the table."""


@pytest.mark.parametrize("groups", [20, 50, 200])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_intervals_cover_95_percent(case: Case, groups: int) -> None:
    found = covered(case, groups, ours(case), DATA_SETS)
    assert 93.5 <= found <= 96.5 if case.exact else found >= 93.0


@given(st.integers(1, 400), st.data())
def test_the_interval_of_ungrouped_0_or_1_rewards_is_wilsons(
    rows: int, data: st.DataObject
) -> None:
    ones = data.draw(st.integers(0, rows))
    found = estimate_some(np.repeat([1.0, 0.0], [ones, rows - ones]))
    published = stats.binomtest(ones, rows).proportion_ci(method="wilson")
    if rows == 1:
        assert found.low is found.high is None
    else:
        assert found.low == pytest.approx(published.low, abs=1e-9)
        assert found.high == pytest.approx(published.high, abs=1e-9)


@given(st.integers(2, 12), st.integers(1, 6), st.integers(0, 3))
def test_groups_never_count_as_more_rows_than_they_have(groups: int, pairs: int, odd: int) -> None:
    """Groups that are more similar than by chance are worth no more than as many single rows."""
    rewards, names = [], []
    for group in range(groups):
        inside = [0.0, 1.0] * pairs + [1.0] * (group < odd)
        rewards += inside
        names += [group] * len(inside)
    values = np.array(rewards)
    grouped, single = estimate_some(values, np.array(names)), estimate_some(values)
    assert grouped.low is not None
    assert grouped.high is not None
    assert single.low is not None
    assert single.high is not None
    assert grouped.high - grouped.low >= single.high - single.low - 1e-12


def test_the_interval_of_rewards_is_close_to_the_studentized_bootstrap() -> None:
    """It is the analytic counterpart, so the ends differ by a small part of the width."""
    values = np.random.default_rng(7).beta(5, 0.5, 400)
    found = estimate_some(values)
    low, high = bootstrapped(values, np.random.default_rng(8))
    assert found.low is not None
    assert found.high is not None
    width = high - low
    assert found.low == pytest.approx(low, abs=0.04 * width)
    assert found.high == pytest.approx(high, abs=0.04 * width)


def bootstrapped(values: Floats, random: np.random.Generator) -> tuple[float, float]:
    """Efron and Tibshirani 1993, section 12.5: the slow reference."""
    resamples = values[random.integers(0, len(values), (20_000, len(values)))]
    errors = resamples.std(1, ddof=1) / np.sqrt(len(values))
    low, high = np.quantile((resamples.mean(1) - values.mean()) / errors, (0.975, 0.025))
    error = values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - low * error), float(values.mean() - high * error)


@given(
    st.lists(
        st.lists(st.floats(-10, 10, allow_nan=False), min_size=1, max_size=5),
        min_size=2,
        max_size=9,
    )
)
def test_clusters_are_the_sums_of_each_group(groups: list[list[float]]) -> None:
    values = np.array([value for group in groups for value in group])
    names = np.array([f"g{place}" for place, group in enumerate(groups) for _ in group])
    order = np.random.default_rng(0).permutation(len(values))
    clustered = clusters(values[order], names[order])
    mean = sum(map(sum, groups)) / len(values)
    size = len(values) / len(groups)
    residuals = [(sum(group) - mean * len(group)) / size for group in groups]
    assert clustered.mean == pytest.approx(mean, abs=1e-9)
    assert clustered.influences() == pytest.approx(residuals, abs=1e-9)


def test_samples_of_a_group_count_as_one_observation() -> None:
    """Ten copies of each row make no interval narrower."""
    values = np.random.default_rng(1).beta(2, 2, 40)
    alone, copied = estimate_some(values), estimate_some(values.repeat(10), np.arange(400) // 10)
    assert (copied.rows, copied.groups) == (400, 40)
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high), abs=1e-9)


def test_the_order_of_rows_makes_no_difference() -> None:
    sampled = beta_samples(np.random.default_rng(2), 30)
    assert sampled.groups is not None
    order = np.random.default_rng(3).permutation(len(sampled.values))
    one, other = (
        estimate_some(values, groups)
        for values, groups in (
            (sampled.values, sampled.groups),
            (sampled.values[order], sampled.groups[order]),
        )
    )
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-12)


@pytest.mark.parametrize(
    ("values", "groups"),
    [
        ([0.5], None),
        ([0.1, 0.1, 0.1], None),
        ([0.2, 0.8], [1, 1]),
        ([0.2, 0.8, 0.2, 0.8], [1, 1, 2, 2]),
    ],
    ids=["one row", "all the same", "one group", "groups with the same mean"],
)
def test_some_data_determine_no_interval(values: list[float], groups: list[int] | None) -> None:
    found = estimate_some(np.array(values), None if groups is None else np.array(groups))
    assert (found.low, found.high) == (None, None)
    assert found.value == pytest.approx(np.mean(values))


def test_no_rows_have_no_mean() -> None:
    assert estimate(np.array([])) is None


def test_an_interval_of_a_few_rewards_of_1_starts_below_1() -> None:
    found = estimate_some(np.ones(20))
    assert found.low == pytest.approx(0.8389, abs=1e-4)
    assert found.high == 1.0


@given(st.lists(st.floats(-1e300, 1e300, allow_nan=False), min_size=1, max_size=40), st.booleans())
def test_an_interval_has_two_finite_ends_or_none(values: list[float], grouped: bool) -> None:
    groups = np.arange(len(values)) // 2 if grouped else None
    found = estimate_some(np.array(values), groups)
    assert (found.low is None) == (found.high is None)
    if found.low is not None and found.high is not None:
        assert np.isfinite([found.low, found.high]).all()
        assert found.low <= found.high
