"""How far raters agree, compared with published examples and with slow definitions."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.statistics.agreement import (
    calibration,
    cohen_kappa,
    flips,
    interval_alpha,
    nominal_alpha,
    quadratic_kappa,
)
from graders_engine.statistics.correlation import pearson, pearson_matrix

KRIPPENDORFF = [
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
]
"""Four observers, twelve units (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, section C)."""
BINARY = ["0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0"]
"""Two observers, ten units (section A)."""
units = st.lists(
    st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=0, max_size=4), min_size=1, max_size=7
)
numbers = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=20)


def units_of(observers: list[str]) -> list[list[float]]:
    columns = zip(*(observer.split() for observer in observers), strict=True)
    return [[float(value) for value in column if value != "."] for column in columns]


def test_alpha_equals_the_published_examples() -> None:
    four = units_of(KRIPPENDORFF)
    assert nominal_alpha(four) == pytest.approx(0.743, abs=0.0005)
    assert interval_alpha(four) == pytest.approx(0.849, abs=0.0005)
    assert nominal_alpha(units_of(BINARY)) == pytest.approx(0.095, abs=0.0005)


def defined(
    given_units: list[list[float]], distance: Callable[[float, float], float]
) -> float | None:
    """Alpha by its definition: over all pairs within a row, and over all pairs."""
    several = [unit for unit in given_units if len(unit) > 1]
    pooled = [value for unit in several for value in unit]
    if len(set(pooled)) < 2:
        return None
    within = sum(
        sum(distance(*pair) for pair in permutations(unit, 2)) / (len(unit) - 1) for unit in several
    )
    among = sum(distance(*pair) for pair in permutations(pooled, 2)) / (len(pooled) - 1)
    return 1 - within / among


@given(units)
def test_alpha_equals_its_definition(given_units: list[list[float]]) -> None:
    for ours, distance in (
        (nominal_alpha, lambda one, other: float(one != other)),
        (interval_alpha, lambda one, other: (one - other) ** 2),
    ):
        expected = defined(given_units, distance)
        found = ours(given_units)
        assert found is None if expected is None else found == pytest.approx(expected, abs=1e-9)


def labels_of(table: list[list[int]]) -> tuple[list[int], list[int]]:
    """Two raters' labels from their confusion table."""
    pairs = [
        (one, other)
        for one, row in enumerate(table)
        for other, count in enumerate(row)
        for _ in range(count)
    ]
    first, second = zip(*pairs, strict=True)
    return list(first), list(second)


def test_kappa_equals_the_published_example() -> None:
    """Cohen 1960, table 1: 0.70 agreed and 0.41 by chance, kappa 0.492."""
    first, second = labels_of([[88, 14, 18], [10, 40, 10], [2, 6, 12]])
    assert cohen_kappa(first, second) == pytest.approx((0.70 - 0.41) / (1 - 0.41), abs=1e-9)


@given(numbers)
def test_quadratic_kappa_equals_its_definition(pairs: list[tuple[int, int]]) -> None:
    """One minus the mean squared distance of the pairs over that of all combinations."""
    first, second = map(np.array, zip(*pairs, strict=True))
    by_chance = np.mean([(one - other) ** 2 for one, other in product(first, second)])
    found = quadratic_kappa(first.astype(np.float64), second.astype(np.float64))
    if by_chance == 0:
        assert found is None
    else:
        assert found == pytest.approx(1 - np.mean((first - second) ** 2) / by_chance, abs=1e-9)


@given(numbers)
def test_on_two_values_both_kappas_are_equal(pairs: list[tuple[int, int]]) -> None:
    first, second = (np.array(column) % 2 for column in zip(*pairs, strict=True))
    plain, quadratic = cohen_kappa(first.tolist(), second.tolist()), quadratic_kappa(first, second)
    assert (plain is None) == (quadratic is None)
    assert plain is None or quadratic == pytest.approx(plain, abs=1e-9)


def test_a_judge_that_always_gives_one_label_agrees_by_chance_only() -> None:
    assert cohen_kappa(["good"] * 4, ["good", "good", "bad", "good"]) == 0
    assert cohen_kappa(["good"] * 4, ["good"] * 4) is None


def test_flips_count_rows_and_answers() -> None:
    found = flips([["a", "a", "a"], ["a", "b", "a"], ["a", "b"], ["a"], []])
    assert found is not None
    assert found.rows == 3
    assert found.flipped == pytest.approx(2 / 3, abs=1e-9)
    assert found.against_majority == pytest.approx((0 + 1 / 3 + 1 / 2) / 3, abs=1e-9)
    assert flips([["a"], []]) is None


def test_calibration_gives_both_means_of_each_bin() -> None:
    found = calibration(np.array([0.05, 0.1, 0.15, 0.95, 1.0]), np.array([0.0, 0.0, 1.0, 1.0, 0.0]))
    assert [(bin_.low, bin_.rows, bin_.human) for bin_ in found.bins] == [
        (0.0, 1, 0.0),
        (0.1, 2, 0.5),
        (0.9, 2, 0.5),
    ]
    assert found.expected_error == pytest.approx((0.05 + 2 * 0.375 + 2 * 0.475) / 5, abs=1e-9)


def test_calibration_on_another_scale_covers_the_judges_rewards() -> None:
    found = calibration(np.array([1.0, 5.0, 10.0]), np.array([1.0, 5.0, 10.0]))
    assert (found.bins[0].low, found.bins[-1].high) == (1.0, 10.0)
    assert found.expected_error == 0
    assert len(calibration(np.full(3, 7.0), np.ones(3)).bins) == 1


@given(st.lists(st.floats(-3, 3, allow_nan=False), min_size=1, max_size=30))
def test_calibration_loses_no_row(values: list[float]) -> None:
    found = calibration(np.array(values), np.array(values))
    assert sum(bin_.rows for bin_ in found.bins) == len(values)
    assert found.expected_error == pytest.approx(0, abs=1e-9)


def test_a_missing_number_excludes_its_row_from_its_own_pairs_only() -> None:
    nan = float("nan")
    columns = [np.array(column) for column in ([1, 2, 3, nan], [2, 4, 7, 1], [5.0, 5, 5, 5])]
    table = pearson_matrix(columns)
    expected = np.corrcoef([1, 2, 3], [2, 4, 7])[0, 1]
    assert table[0][1] == table[1][0] == pytest.approx(expected, abs=1e-9)
    assert table[0][0] == pytest.approx(1)
    assert table[2] == [None] * 3


@pytest.mark.parametrize("column", [[], [1.0], [float("nan")] * 3])
def test_a_column_without_variation_has_no_correlation(column: list[Any]) -> None:
    assert pearson(np.array(column), np.array(column)) is None
