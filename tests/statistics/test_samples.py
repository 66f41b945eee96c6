"""Several samples per prompt, compared with the code of Chen et al. and with all choices of k."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.statistics.estimate import estimate
from graders_engine.statistics.samples import best_of, pass_at, signal

prompts = st.lists(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=6), min_size=1, max_size=5
)


def flat(groups: list[list[float]]) -> tuple[np.ndarray, np.ndarray]:
    values = np.array([value for group in groups for value in group])
    return values, np.array([place for place, group in enumerate(groups) for _ in group])


def chen(samples: int, correct: int, k: int) -> float:
    """The estimator as printed in arXiv:2107.03374, figure 3."""
    if samples - correct < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(samples - correct + 1, samples + 1)))


@given(st.integers(1, 200), st.integers(1, 200), st.data())
def test_pass_at_k_equals_the_published_estimator(
    samples: int, k: int, data: st.DataObject
) -> None:
    correct = data.draw(st.integers(0, samples))
    found = pass_at(np.repeat([1.0, 0.0], [correct, samples - correct]), np.zeros(samples), k)
    if k > samples:
        assert found is None
    else:
        assert found is not None
        assert found.value == pytest.approx(chen(samples, correct, k), abs=1e-9)


@given(prompts, st.integers(1, 4))
def test_best_of_k_is_the_mean_over_all_choices(groups: list[list[float]], k: int) -> None:
    found = best_of(*flat(groups), k)
    bests = [
        np.mean([max(choice) for choice in combinations(group, k)])
        for group in groups
        if len(group) >= k
    ]
    if not bests:
        assert found is None
    else:
        assert found is not None
        assert found.value == pytest.approx(np.mean(bests), abs=1e-9)
        assert found.groups == len(bests)


@given(prompts, st.integers(2, 4))
def test_the_signal_is_the_share_of_all_choices_that_differ(
    groups: list[list[float]], size: int
) -> None:
    several = [group for group in groups if len(group) > 1]
    found = signal(*flat(groups), size)
    if not several:
        assert found is None
        return
    assert found is not None
    shares = [
        np.mean([len(set(choice)) > 1 for choice in combinations(group, min(size, len(group)))])
        for group in several
    ]
    assert found.share.value == pytest.approx(np.mean(shares), abs=1e-12)
    assert (found.share.groups, found.size) == (len(several), size)
    assert found.smaller == sum(len(group) < size for group in several)


def test_rewards_that_differ_by_rounding_give_no_signal() -> None:
    found = signal(np.array([0.9, 0.8999999999999999, 0.9, 0.9]), np.zeros(4), 2)
    assert found is not None
    assert found.share.value == 0.0


def test_the_signal_of_groups_of_one_is_rejected() -> None:
    with pytest.raises(ValueError, match="at least 2 samples"):
        signal(np.array([1.0]), np.array([1]), 1)


def test_the_passing_reward_can_be_chosen() -> None:
    found = pass_at(np.array([0.2, 0.6, 0.1, 0.3]), np.array([1, 1, 2, 2]), 2, passing=0.6)
    assert found is not None
    assert found.value == 0.5


def test_k_below_1_is_rejected() -> None:
    with pytest.raises(ValueError, match="k must be at least 1"):
        best_of(np.array([1.0]), np.array([1]), 0)


def test_pass_at_k_of_many_prompts_of_uneven_size_is_their_mean() -> None:
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(100_000), random.integers(1, 9, 100_000))
    values = (random.random(len(groups)) < 0.3).astype(np.float64)
    found = pass_at(values, groups, 4)
    assert found is not None
    sizes, correct = np.bincount(groups), np.bincount(groups, values)
    slow = [
        chen(int(size), int(right), 4)
        for size, right in zip(sizes, correct, strict=True)
        if size >= 4
    ]
    assert found.value == pytest.approx(np.mean(slow), abs=1e-9)


@given(prompts, st.integers(1, 4), st.integers(2, 9))
def test_intervals_of_probabilities_hold_them_and_stay_between_0_and_1(
    groups: list[list[float]], k: int, size: int
) -> None:
    values, names = flat(groups)
    found = signal(values, names, size)
    for one in (pass_at(values, names, k, 0.5), found.share if found else None):
        if one is not None and one.low is not None and one.high is not None:
            assert 0 <= one.low <= one.value <= one.high <= 1


@given(
    st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=3, max_size=3), min_size=2, max_size=9)
)
def test_pass_at_1_of_prompts_of_one_size_is_the_pass_rate(groups: list[list[float]]) -> None:
    values, names = flat(groups)
    one, rate = pass_at(values, names, 1), estimate(values, names)
    assert one is not None
    assert rate is not None
    assert (one.low, one.value, one.high) == pytest.approx((rate.low, rate.value, rate.high))


def test_large_rewards_that_differ_by_rounding_are_one() -> None:
    found = signal(np.array([3e7, 3e7 * (1 + 2e-16)]), np.zeros(2), 2)
    assert found is not None
    assert found.share.value == 0.0


@given(
    st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=4), min_size=1, max_size=6)
)
def test_the_best_of_rewards_of_0_and_1_is_pass_at_k(groups: list[list[float]]) -> None:
    values, names = flat(groups)
    for k in (1, 2, 3):
        assert best_of(values, names, k) == pass_at(values, names, k)
