"""The geometry of the page's charts: what is drawn has the size that the counts say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graders_engine.report.histogram import Histogram, histogram
from graders_engine.report.html import charts
from graders_engine.report.html.charts import BarChart, Rect, bar_chart

COUNTS = st.lists(st.integers(0, 100_000), min_size=1, max_size=50).filter(any)
VALUES = st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=60)


def histogram_of(counts: list[int]) -> Histogram:
    return Histogram(tuple(map(float, range(len(counts) + 1))), tuple(counts))


def histogram_of_values(values: Iterable[float], max_bins: int) -> Histogram | None:
    return histogram(Counter(values), max_bins)


def heights(bars: tuple[Rect, ...]) -> list[float]:
    return [float(bar.height) for bar in bars]


def height_at(chart: BarChart, text: str) -> float:
    """The height at which the vertical axis has a number."""
    return charts.AXIS - next(float(tick.at) for tick in chart.y_ticks if tick.text == text)


@given(COUNTS, st.dictionaries(st.sampled_from(["sample", "row", "failed"]), st.integers(0, 9999)))
def test_each_count_has_a_bar_and_larger_counts_have_higher_bars(
    counts: list[int], beside: dict[str, int]
) -> None:
    chart = bar_chart(histogram_of(counts), beside)
    assert [bar.count for bar in chart.bars] == [count for count in counts if count]
    assert {bar.label: bar.count for bar in chart.beside} == {k: n for k, n in beside.items() if n}
    bars = sorted((*chart.bars, *chart.beside), key=lambda bar: bar.count)
    for lower, higher in pairwise(bars):
        assert float(lower.height) <= float(higher.height)
    assert min(heights(chart.bars)) >= 1


@given(st.lists(st.integers(1000, 10_000), min_size=1, max_size=50))
def test_bars_are_as_high_as_the_counts_at_the_axis(counts: list[int]) -> None:
    chart = bar_chart(histogram_of(counts))
    assert chart.notes == ""
    highest = max(chart.bars, key=lambda bar: bar.count)
    unit = float(highest.height) / highest.count
    for bar in chart.bars:
        assert float(bar.height) == pytest.approx(bar.count * unit, abs=0.02)
    assert height_at(chart, "0") == 0
    for tick in chart.y_ticks[1:]:
        number = float(tick.text.removesuffix("k")) * (1000 if tick.text.endswith("k") else 1)
        assert charts.AXIS - float(tick.at) == pytest.approx(number * unit, rel=0.01)


def test_where_one_bar_would_flatten_the_others_heights_are_square_roots_and_said_to_be() -> None:
    chart = bar_chart(histogram_of([100, 200, 500, 10_000]))
    assert chart.notes == "The heights are the square roots of the counts."
    assert [tick.text for tick in chart.y_ticks] == ["0", "200", "1k", "2k", "5k", "10k"]
    for bar, text in ((chart.bars[1], "200"), (chart.bars[3], "10k")):
        assert float(bar.height) == pytest.approx(height_at(chart, text), abs=0.02)
    first, *_, last = heights(chart.bars)
    assert first == pytest.approx(last / 10, abs=0.02)
    for counts in ([100, 200, 2000], [1, 1, 10]):  # none has over ten times the median
        assert bar_chart(histogram_of(counts)).notes == ""


@given(COUNTS, st.dictionaries(st.sampled_from(["sample", "row", "failed"]), st.integers(0, 9999)))
def test_bars_stand_on_the_axis_side_by_side_inside_the_chart(
    counts: list[int], beside: dict[str, int]
) -> None:
    chart = bar_chart(histogram_of(counts), beside)
    end = float(charts.LEFT)
    for bar in (*chart.bars, *chart.beside):
        assert float(bar.y) >= 0
        assert float(bar.y) + float(bar.height) == pytest.approx(charts.AXIS, abs=0.02)
        assert float(bar.x) >= end - 0.02
        end = float(bar.x) + float(bar.width)
    assert end <= charts.WIDTH + 0.02


@given(VALUES)
def test_the_numbers_below_the_axis_do_not_touch_each_other(values: list[float]) -> None:
    bars = histogram_of_values(values, 50)
    assert bars
    ticks = bar_chart(bars).x_ticks
    assert ticks
    for kept in (ticks, [tick for tick in ticks if not tick.is_minor]):
        places = [float(tick.at) for tick in kept]
        least = 46 if kept is ticks else 90
        assert all(after - before >= least - 0.1 for before, after in pairwise(places))
        assert charts.LEFT <= places[0] <= places[-1] <= charts.WIDTH + 0.01


def test_bins_have_round_numbers_below_them_wherever_they_begin() -> None:
    bars = histogram_of_values([0.0769, *(n / 97 for n in range(10, 98))], 50)
    assert bars
    assert bars.edges[0] == 0.06
    ticks = bar_chart(bars).x_ticks
    assert [tick.text for tick in ticks] == ["0.2", "0.4", "0.6", "0.8", "1"]
    step = (charts.WIDTH - charts.LEFT) / (1 - 0.06)
    for tick in ticks:
        at = charts.LEFT + (float(tick.text) - 0.06) * step
        assert float(tick.at) == pytest.approx(at, abs=0.02)


def test_single_values_stand_where_an_axis_from_0_to_1_has_them() -> None:
    bars = histogram_of_values([0, 0, 1, 1, 1, 0.25], 50)
    assert bars
    chart = bar_chart(bars)
    low, quarter, high = (float(bar.middle) for bar in chart.bars)
    assert (low, high) == (charts.LEFT + 28, charts.WIDTH - 28)
    assert quarter == pytest.approx(low + (high - low) / 4, abs=0.02)
    assert chart.counted
    assert {tick.text for tick in chart.x_ticks} >= {"0", "0.25", "1"}
    alone = histogram_of_values([1.0], 50)
    assert alone
    chart = bar_chart(alone)
    assert float(chart.bars[0].middle) == high
    assert (chart.x_ticks[0].text, chart.x_ticks[-1].text) == ("0", "1")


def test_beside_single_values_only_the_ends_of_the_axis_have_numbers() -> None:
    found = histogram(dict.fromkeys((0.25, 0.5, 0.75), 1), 10)
    assert found is not None
    assert [tick.text for tick in bar_chart(found).x_ticks] == ["0", "0.25", "0.5", "0.75", "1"]


def test_the_rows_that_are_only_served_a_reward_are_the_tops_of_its_bar() -> None:
    bars = histogram_of_values([0, 0, 0, 0.3, 1, 1], 50)
    assert bars
    chart = bar_chart(bars, {"row": 2}, {0.0: 2, 1.0: 2})
    assert {label: bar.count for label, bar in chart.served.items()} == {"0": 2, "1": 2}
    zero, one = chart.bars[0], chart.bars[2]
    top = chart.served["0"]
    assert (top.x, top.y, top.width) == (zero.x, zero.y, zero.width)
    assert float(top.height) == pytest.approx(float(zero.height) * 2 / 3, abs=0.02)
    assert chart.served["1"].height == one.height
    assert [bar.label for bar in chart.beside] == ["row"]
    ranges = histogram_of_values([n / 100 for n in range(101)], 10)
    assert ranges
    in_bins = bar_chart(ranges, {}, {0.0: 1, 0.5: 1, 1.0: 1}).served
    assert list(in_bins) == ["0 to 0.1", "0.5 to 0.6", "0.9 to 1"]


def test_values_too_close_for_the_scale_are_spaced_evenly_and_said_to_be() -> None:
    bars = histogram_of_values([0, 0.0001, 0.0002, 1], 50)
    assert bars
    chart = bar_chart(bars)
    assert chart.notes == "The values are evenly spaced, not to scale."
    middles = [float(bar.middle) for bar in chart.bars]
    gaps = [after - before for before, after in pairwise(middles)]
    assert gaps == pytest.approx([gaps[0]] * 3, abs=0.02)
    assert [tick.text for tick in chart.x_ticks] == ["0", "0.0001", "0.0002", "1"]


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
