"""The geometry of the page's charts: what is drawn has the size that the counts say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.report.histogram import Histogram
from graders_engine.report.html import charts

COUNTS = st.lists(st.integers(0, 10_000), min_size=1, max_size=50).filter(any)


def histogram_of(counts: list[int]) -> Histogram:
    return Histogram(tuple(map(float, range(len(counts) + 1))), tuple(counts))


@given(COUNTS)
def test_each_count_has_a_bar_as_high_as_its_share_of_the_largest(counts: list[int]) -> None:
    bars = list(charts.bars(histogram_of(counts)))
    assert [bar.count for bar in bars] == [count for count in counts if count]
    tallest = max(float(bar.height) for bar in bars)
    for bar in bars:
        share = bar.count / max(counts)
        assert float(bar.height) == pytest.approx(max(share * tallest, 1.0), abs=0.02)


@given(COUNTS)
def test_bars_stand_on_the_axis_side_by_side_inside_the_chart(counts: list[int]) -> None:
    end = 0.0
    for bar in charts.bars(histogram_of(counts)):
        assert float(bar.y) >= 0
        assert float(bar.y) + float(bar.height) == pytest.approx(charts.AXIS, abs=0.02)
        assert float(bar.x) >= end - 0.02
        end = float(bar.x) + float(bar.width)
    assert end <= charts.WIDTH + 0.02


@given(COUNTS)
def test_the_numbers_below_the_axis_are_inside_the_chart(counts: list[int]) -> None:
    ticks = list(charts.ticks(histogram_of(counts)))
    assert 2 <= len(ticks) <= 11
    assert ticks[0].anchor == "start"
    places = [float(tick.x) for tick in ticks]
    assert places == sorted(places)
    assert places[0] == 0
    assert places[-1] <= charts.WIDTH


@given(st.lists(st.integers(0, 10_000), min_size=3, max_size=3))
def test_the_parts_of_a_divided_bar_fill_it_in_order(counts: list[int]) -> None:
    named = dict(zip(("scored", "invalid", "failed"), counts, strict=True))
    parts = list(charts.shares(named))
    assert {part.label: part.count for part in parts} == {k: n for k, n in named.items() if n}
    end = 0.0
    for part in parts:
        assert float(part.x) == pytest.approx(end, abs=0.02)
        end += charts.WIDTH * part.count / sum(counts)
        assert float(part.width) >= 1.5


@given(COUNTS)
def test_a_sparkline_has_a_bar_for_each_count_inside_its_box(counts: list[int]) -> None:
    path = charts.sparkline(histogram_of(counts))
    bars = [bar.removeprefix("M") for bar in path.split("z") if bar]
    assert len(bars) == sum(map(bool, counts))
    for bar in bars:
        left, height = float(bar.split(" ")[0]), float(bar.split("v-")[1].split("h")[0])
        assert 0 <= left < charts.SPARK_WIDTH
        assert 1 <= height <= charts.SPARK_HEIGHT
