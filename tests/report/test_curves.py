"""Curves by step: thinned without losing what is extreme, and broken where there is no value."""

from __future__ import annotations

import math
import re
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.report.html.curves import (
    AXIS,
    LEFT,
    MOST_POINTS,
    RIGHT,
    TOP,
    Series,
    curves,
    thinned,
)

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.lists(st.one_of(NUMBERS, st.just(nan)), max_size=200)


@given(VALUES, st.integers(1, 30))
def test_points_keep_every_step_and_the_extremes(values: list[float], most: int) -> None:
    steps = list(range(5, 5 + len(values)))
    points = thinned(steps, values, most)
    assert len(points) <= most
    assert [step for one in points for step in range(one.first, one.last + 1)] == steps
    known = [value for value in values if not math.isnan(value)]
    lows = [one.low for one in points if one.low is not None]
    highs = [one.high for one in points if one.high is not None]
    assert (min(lows, default=None), max(highs, default=None)) == (
        min(known, default=None), max(known, default=None),
    )  # fmt: skip
    for one in points:
        own = [value for value in values[one.first - 5 : one.last - 4] if not math.isnan(value)]
        if own:
            assert one.mean is not None
            assert min(own) <= one.mean <= max(own)
            assert one.mean == pytest.approx(math.fsum(value / len(own) for value in own), rel=1e-9)
        else:
            assert one.mean is None


@given(VALUES)
def test_everything_stands_within_the_chart(values: list[float]) -> None:
    chart = curves("chart", "Loss", [Series("train", range(1, len(values) + 1), values, "train")])
    if chart is None:
        assert all(map(math.isnan, values))
        return
    for shape in (*chart.lines, *chart.bands):
        for place in re.findall(r"[ML](\S+) ([\d.e+-]+)", shape.d):
            x, y = map(float, place)
            assert LEFT - 0.01 <= x <= RIGHT + 0.01
            assert TOP - 0.01 <= y <= AXIS + 0.01
    assert len(chart.gaps) == sum(map(math.isnan, values))


def test_a_long_curve_has_a_band_from_its_lowest_to_its_highest_value() -> None:
    values = [0.5] * 10_000
    values[1234], values[7777] = 0.0, 1.0
    chart = curves("chart", "Reward", [Series("train", range(1, 10_001), values, "train")])
    assert chart is not None
    (line,), (band,) = chart.lines, chart.bands
    assert line.d.count("L") < MOST_POINTS
    heights = [float(y) for y in re.findall(r"[ML]\S+ ([\d.]+)", band.d)]
    assert (min(heights), max(heights)) == (TOP, AXIS)
    assert "mean of up to 42 values" in chart.note
    assert chart.description == ("train: 0.5 at step 1, 0.5 at step 10,000, between 0 and 1.")
    assert sum(len(shape.d) for shape in (*chart.lines, *chart.bands)) < 12_000


def test_many_validations_are_a_line_and_few_are_marks() -> None:
    for count, marks in ((60, 60), (61, 0)):
        series = Series("validation", range(1, count + 1), [0.25] * count, "valid", is_marked=True)
        chart = curves("chart", "Reward", [series])
        assert chart is not None
        assert (len(chart.marks), len(chart.lines)) == (marks, 0 if marks else 1)


def test_one_step_is_a_dot_and_no_value_is_no_chart() -> None:
    chart = curves("chart", "Reward", [Series("train", [7], [0.5], "train")])
    assert chart is not None
    (line,) = chart.lines
    assert re.fullmatch(r"M(\S+ \S+)L\1", line.d)
    assert curves("chart", "Reward", [Series("train", [7], [nan], "train")]) is None
    assert curves("chart", "Reward", []) is None
