"""Two runs over the same rows: each number compared with scipy or a published example."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no type information

from graders_engine.statistics.correlation import kendall, pearson, spearman
from graders_engine.statistics.estimate import Floats
from graders_engine.statistics.paired import SAMPLED_GROUPS, Paired, estimate_difference, paired

DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
"""Crossed minus self-fertilised maize, eighths of an inch (Fisher, The Design of Experiments, 1935)."""
rewards = st.floats(0, 1, allow_nan=False)


def compared(before: Floats, after: Floats, groups: NDArray[Any] | None = None) -> Paired:
    found = paired(before, after, groups)
    assert found is not None
    return found


def moved(differences: list[float]) -> Paired:
    return compared(np.zeros(len(differences)), np.array(differences, dtype=np.float64))


def test_fishers_example_gives_his_p_value() -> None:
    found = moved(list(map(float, DARWIN)))
    assert found.test == "exact sign-flip test"
    assert found.p_value == 1726 / 32768  # section 21: 863 of 32,768 on each side


@given(st.lists(st.floats(-5, 5, allow_nan=False), min_size=2, max_size=9))
@settings(max_examples=50)
def test_the_exact_test_counts_all_sign_assignments(differences: list[float]) -> None:
    differences = [0.0 if abs(one) < 1e-6 else one for one in differences]
    if all(one in (-1, 0, 1) for one in differences):
        return
    total, scale = abs(sum(differences)), sum(map(abs, differences))
    totals = [
        abs(sum(sign * one for sign, one in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    as_far = sum(other >= total - 1e-9 * scale for other in totals)
    assert moved(differences).p_value == pytest.approx(as_far / len(totals), abs=1e-9)


def test_sampled_signs_and_the_normal_limit_are_close_to_scipys_permutation_test() -> None:
    random = np.random.default_rng(4)
    for count, bound in ((40, 0.02), (SAMPLED_GROUPS + 500, 0.02)):
        differences = random.normal(1.5 / np.sqrt(count), 1, count)
        published = stats.permutation_test(
            (differences,), np.sum, permutation_type="samples", n_resamples=9_999, batch=500,
            random_state=np.random.default_rng(5),
        )  # fmt: skip
        found = moved(differences.tolist())
        assert found.p_value == pytest.approx(published.pvalue, abs=bound)
        assert found.p_value == moved(differences.tolist()).p_value  # the same each time


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 20))
def test_0_or_1_rewards_get_mcnemars_exact_test(up: int, down: int, same: int) -> None:
    if up + down == 0:
        return
    found = moved([1.0] * up + [-1.0] * down + [0.0] * same)
    assert found.test == "McNemar's exact test"
    assert found.p_value == pytest.approx(stats.binomtest(up, up + down).pvalue, abs=1e-9)


def test_the_interval_of_0_or_1_differences_is_bonett_and_prices() -> None:
    """Their formula, with Student's t in place of the normal quantile."""
    up, down, rows = 14, 6, 80
    found = moved([1.0] * up + [-1.0] * down + [0.0] * (rows - up - down)).difference
    one, other = (up + 1) / (rows + 2), (down + 1) / (rows + 2)
    error = np.sqrt((one + other - (one - other) ** 2) / (rows + 2))
    error *= np.sqrt((rows + 2) / (rows + 1))
    reach = stats.t.ppf(0.975, rows + 1) * error
    assert (found.low, found.high) == pytest.approx(
        (one - other - reach, one - other + reach), abs=1e-9
    )


def test_an_interval_ends_at_1_only_where_no_difference_can_be_greater() -> None:
    few = [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    passed = compared(np.zeros(6), np.array(few)).difference
    assert passed.high == 1.0
    stars = compared(np.full(6, 3.0), np.array(few) + 3).difference
    assert stars.high is not None
    assert stars.high > 1.0
    assert (stars.value, stars.low) == pytest.approx((passed.value, passed.low))
    known = estimate_difference(np.full(6, 3.0), np.array(few) + 3, None, ((3, 4), (3, 4)))[0]
    assert known.high == 1.0


def test_the_interval_of_rewards_that_all_moved_is_the_paired_t_tests() -> None:
    random = np.random.default_rng(5)
    before = random.beta(2, 2, 30)
    after = before + random.normal(0.05, 0.1, 30)
    published = stats.ttest_rel(after, before).confidence_interval()
    found = compared(before, after).difference
    assert (found.low, found.high) == pytest.approx((published.low, published.high), abs=1e-9)


@given(st.lists(st.tuples(rewards, rewards), min_size=2, max_size=30))
def test_rank_correlations_are_scipys(pairs: list[tuple[float, float]]) -> None:
    before, after = np.array(pairs).T.round(6)
    found = compared(before, after)
    if len(set(before)) == 1 or len(set(after)) == 1:
        assert found.spearman is found.kendall is None
        return
    assert found.spearman == pytest.approx(stats.spearmanr(before, after).statistic, abs=1e-9)
    assert found.kendall == pytest.approx(stats.kendalltau(before, after).statistic, abs=1e-9)


def test_rank_correlations_do_not_count_rounding() -> None:
    before = np.array([0.1 + 0.2, 0.3, 0.1 + 0.2, 0.3, 1.0])
    after = np.array([0.0, 1.0, 0.0, 1.0, 0.5])
    found, exact = compared(before, after), compared(before.round(9), after)
    assert (found.spearman, found.kendall) == (exact.spearman, exact.kendall)
    assert spearman(before[:4], after[:4]) is kendall(before[:4], after[:4]) is None
    assert pearson(before[:4], after[:4]) is None


def test_wins_ties_and_losses_do_not_count_rounding() -> None:
    found = compared(np.array([0.1 + 0.2, 0.5, 0.5, 1.0]), np.array([0.3, 0.7, 0.7, 0.0]))
    assert (found.wins, found.ties, found.losses) == (2, 1, 1)


def test_rows_of_a_group_count_as_one_observation() -> None:
    """Twelve rows of three prompts are three wins, not twelve."""
    before, after = np.zeros(12), np.full(12, 0.3)
    groups = np.arange(12) // 4
    assert moved([0.3] * 12).p_value == 2 / 2**12
    assert compared(before, after, groups).p_value == 2 / 2**3


@pytest.mark.parametrize(
    ("after", "allowed"),
    [([0.0, 1.0], (None, None)), ([0.0, 0.9], ((0.0, 1.0), (0.0, 1.0)))],
    ids=["passed or failed", "a known range"],
)
def test_no_difference_is_detectable_that_there_cannot_be(after: list[float], allowed: Any) -> None:
    _, detectable = estimate_difference(np.zeros(2), np.array(after), None, allowed)
    assert detectable is None


def test_where_rewards_have_no_known_range_any_difference_is_detectable() -> None:
    _, detectable = estimate_difference(np.zeros(2), np.array([0.0, 0.9]))
    assert detectable is not None
    assert detectable > 1


def test_the_detectable_difference_is_detected_four_times_out_of_five() -> None:
    random = np.random.default_rng(6)
    _, detectable = estimate_difference(np.zeros(400), random.normal(0, 0.3, 400))
    assert detectable is not None
    found = 0
    for _ in range(2_000):
        difference, _ = estimate_difference(np.zeros(400), random.normal(detectable, 0.3, 400))
        found += difference.low is not None and difference.low > 0
    assert found / 2_000 == pytest.approx(0.8, abs=0.06)


def test_no_rows_make_no_comparison() -> None:
    assert paired(np.array([]), np.array([])) is None


@pytest.mark.parametrize(
    ("differences", "p_value"),
    [([0.0], 1.0), ([0.0] * 20, 1.0), ([0.4], 1.0), ([-0.3] * 5, 2 / 2**5)],
    ids=["one row", "no row differs", "one row differs", "every row moves by the same"],
)
def test_some_data_determine_no_interval(differences: list[float], p_value: float) -> None:
    found = moved(differences)
    assert found.p_value == p_value
    assert found.difference.low is found.difference.high is found.detectable is None


@given(st.lists(st.tuples(rewards, rewards, st.integers(0, 5)), min_size=1, max_size=25))
def test_every_number_is_finite_or_none(rows: list[tuple[float, float, int]]) -> None:
    before, after, groups = np.array(rows).T
    found = compared(before, after, groups)
    ends = (found.difference.low, found.difference.high, found.detectable, found.kendall)
    assert all(end is None or np.isfinite(end) for end in ends)
    assert 0 < found.p_value <= 1
    assert found.wins + found.ties + found.losses == len(rows)
    if found.difference.low is not None and found.difference.high is not None:
        assert found.difference.low <= found.difference.value <= found.difference.high
