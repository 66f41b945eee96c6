"""The geometry of the page's charts: what the macros in `templates/charts.html.jinja` draw as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from types import MappingProxyType

from graders_engine.report.formatting import format_number
from graders_engine.report.histogram import Histogram, round_up

WIDTH, HEIGHT = 720, 260
"""Size of a bar chart, in SVG units; the numbers are below the axis, the bars above."""
LEFT = 64
"""Distance of the bars from the left edge; the counts of the vertical axis are there."""
AXIS = HEIGHT - 40
"""Distance of the horizontal axis from the top."""
_HEADROOM = 26
"""Distance of the top of the vertical axis from the top."""
_PLOT_HEIGHT = AXIS - _HEADROOM
_BESIDE_STEP, _BESIDE_GAP = 74, 20
"""Width of each bar beside the rewards with its label, and the distance between the two groups of bars."""
_MAX_BAR_WIDTH = 48
_MIN_GAP = 10
"""Single values that are nearer to each other than this are spaced evenly, not to scale."""
_TICK_DISTANCE, _WIDE_TICK_DISTANCE = 46, 96
"""Distances at which the numbers below the axis do not touch; the second, on a narrow screen, where the
letters are larger."""
TALL = 10
"""Bars are as high as the square roots of their counts if one has over so many times the median count."""
_MARK_DISTANCE = 24
"""Distance of the counts at the vertical axis where its scale is not even."""
SPARK_WIDTH, SPARK_HEIGHT = 120, 24
"""Size of a sparkline, in SVG units."""


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle of a chart, as the values of its SVG attributes, and what it says when pointed at.

    `span` selects its rows (`Histogram.spans`); empty where nothing does.
    """

    label: str
    count: int
    x: str
    width: str
    y: str = "0"
    height: str = "0"
    middle: str = "0"
    span: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """A number at an axis.

    Attributes:
        text: the number.
        at: its position along the axis.
        anchor: the SVG `text-anchor` at that position.
        is_minor: whether it is left out on a narrow screen.
    """

    text: str
    at: str
    anchor: str = "middle"
    is_minor: bool = False


@dataclass(frozen=True, slots=True)
class BarChart:
    """A histogram with both axes.

    Attributes:
        bars: a bar for each count that is not 0.
        served: of the bars with rows that are served this reward without having one, that part.
        beside: the same for the counts that are not in the histogram, to the right of it.
        x_ticks: the numbers below the axis.
        y_ticks: the counts at the left.
        end: the right end of the axis.
        counted: whether the bars have their counts above them.
        notes: sentences about the scales.
    """

    bars: tuple[Rect, ...]
    served: dict[str, Rect]
    beside: tuple[Rect, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    end: str
    counted: bool
    notes: str


def bar_chart(
    histogram: Histogram,
    beside: Mapping[str, int] = MappingProxyType({}),
    served: Mapping[float, int] = MappingProxyType({}),
) -> BarChart:
    """Lay a histogram out.

    Args:
        histogram: the counts; not all of them are 0.
        beside: more counts by label: those of rows that are in no mean.
        served: how many of the histogram's rows are only served each reward.
    """
    others = {label: count for label, count in beside.items() if count}
    room = _BESIDE_STEP * len(others) + _BESIDE_GAP if others else 0
    end = WIDTH - room
    counts = [count for count in (*histogram.counts, *others.values()) if count]
    is_root = max(counts) > TALL * median(counts)
    height_of, y_ticks = (_root_scale if is_root else _linear_scale)(max(counts))
    places = _Places.of(histogram, end)
    bars = [
        replace(_bar(label, count, middle, width, height_of), span=span)
        for label, count, (middle, width), span in zip(
            histogram.labels, histogram.counts, places.bars, histogram.spans, strict=True
        )
        if count
    ]
    served_counts = [0] * len(histogram.counts)
    for reward, count in served.items():
        served_counts[histogram.bar_of(reward)] += count
    in_bars = dict(zip(histogram.labels, served_counts, strict=True))
    middles = [end + _BESIDE_GAP + (at + 0.5) * _BESIDE_STEP for at in range(len(others))]
    notes = []
    if is_root:
        notes.append("The heights are the square roots of the counts.")
    if not places.to_scale:
        notes.append("The values are evenly spaced, not to scale.")
    return BarChart(
        tuple(bars),
        {bar.label: _top(bar, in_bars[bar.label], height_of) for bar in bars if in_bars[bar.label]},
        tuple(
            _bar(label, count, middle, _MAX_BAR_WIDTH, height_of)
            for (label, count), middle in zip(others.items(), middles, strict=True)
        ),
        tuple(_x_ticks(places.ticks, end)),
        y_ticks,
        coordinate(end),
        histogram.single,
        " ".join(notes),
    )


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the bars of a histogram stand: (middle, width) of each, and its ticks as (text, position)."""

    bars: list[tuple[float, float]]
    ticks: list[tuple[str, float]]
    to_scale: bool = True

    @classmethod
    def of(cls, histogram: Histogram, end: float) -> _Places:
        if not histogram.single:
            return cls._bins(histogram, end)
        values = histogram.edges
        low, high = _axis_of(values)
        left, room = LEFT + _MAX_BAR_WIDTH / 2 + 4, end - LEFT - _MAX_BAR_WIDTH - 8
        middles = [left + room * share_of(value, low, high) for value in values]
        gap = min((after - before for before, after in pairwise(middles)), default=room)
        to_scale = gap >= _MIN_GAP
        if not to_scale:
            gap = room / (len(values) - 1)
            middles = [left + at * gap for at in range(len(values))]
        ticks = [(format_number(value), x) for value, x in zip(values, middles, strict=True)]
        # Beside the values themselves, round numbers between them say nothing.
        others = round_values(low, high) if len(values) == 1 else (low, high)
        for value in others if to_scale else ():
            x = left + room * share_of(value, low, high)
            if all(abs(x - other) >= _TICK_DISTANCE for _, other in ticks):
                ticks.append((format_number(value), x))
        width = min(gap * 0.8, _MAX_BAR_WIDTH)
        return cls([(x, width) for x in middles], ticks, to_scale)

    @classmethod
    def _bins(cls, histogram: Histogram, end: float) -> _Places:
        low, high = histogram.edges[0], histogram.edges[-1]
        step = (end - LEFT) / len(histogram.counts)
        width = step - min(2.0, step / 6)
        bars = [(LEFT + (at + 0.5) * step, width) for at in range(len(histogram.counts))]
        ticks = [
            (format_number(value), LEFT + (end - LEFT) * share_of(value, low, high))
            for value in round_values(low, high)
        ]
        return cls(bars, ticks)


def _axis_of(values: Sequence[float]) -> tuple[float, float]:
    """The range of the axis for single values: 0 to 1 if all are in it, else their own."""
    low, high = values[0], values[-1]
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, high


def share_of(value: float, low: float, high: float) -> float:
    """How far a value is from the lower to the upper end; halves, as the range itself may be infinite."""
    return (value / 2 - low / 2) / (high / 2 - low / 2) if low < high else 0.5


def round_values(low: float, high: float) -> list[float]:
    """Round numbers from one number to another, about six; both ends themselves if there are none."""
    step = round_up(high / 8 - low / 8)
    if low / step > 1e12 or high / step < -1e12 or low >= high:
        return [low, high] if low < high else []
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    rounded = (float(f"{at * step:.12g}") for at in range(first, last + 1))
    values = [value for value in rounded if low <= value <= high]
    return values if len(values) > 1 else [low, high]


def _linear_scale(highest: int) -> tuple[Callable[[int], float], tuple[Tick, ...]]:
    step = max(round(round_up(highest / 4)), 1)
    top = step * math.ceil(highest / step)

    def height_of(count: int) -> float:
        return max(_PLOT_HEIGHT * count / top, 1.0)

    marks = range(0, top + 1, step)
    return height_of, tuple(
        Tick(_short(mark), coordinate(AXIS - _PLOT_HEIGHT * mark / top)) for mark in marks
    )


def _root_scale(highest: int) -> tuple[Callable[[int], float], tuple[Tick, ...]]:
    """A scale on which a hundredth of the highest count has a tenth of its height."""

    def height_of(count: int) -> float:
        return max(_PLOT_HEIGHT * math.sqrt(count / highest), 1.0)

    marks = [0]
    for power in range(len(str(highest))):
        for mark in (factor * 10**power for factor in (1, 2, 5)):
            if mark <= highest and height_of(mark) - height_of(marks[-1]) >= _MARK_DISTANCE:
                marks.append(mark)
    at = {mark: AXIS - (height_of(mark) if mark else 0) for mark in marks}
    return height_of, tuple(Tick(_short(mark), coordinate(at[mark])) for mark in marks)


def _bar(
    label: str, count: int, middle: float, width: float, height_of: Callable[[int], float]
) -> Rect:
    height = height_of(count)
    return Rect(
        label,
        count,
        x=coordinate(middle - width / 2),
        width=coordinate(width),
        y=coordinate(AXIS - height),
        height=coordinate(height),
        middle=coordinate(middle),
    )


def _top(bar: Rect, count: int, height_of: Callable[[int], float]) -> Rect:
    """The top of a bar, for so many of its rows."""
    below = height_of(bar.count - count) if bar.count > count else 0.0
    height = max(float(bar.height) - below, 1.0)
    return replace(bar, count=count, height=coordinate(height))


def _x_ticks(places: Sequence[tuple[str, float]], end: float) -> Iterator[Tick]:
    """The numbers below the axis, without those that would touch the one before or the last."""
    ordered = sorted(places, key=lambda place: place[1])
    last_text, last = ordered.pop()
    last_kept = wide = -math.inf
    for text, x in ordered:
        if x - last_kept >= _TICK_DISTANCE and last - x >= _TICK_DISTANCE:
            is_minor = x - wide < _WIDE_TICK_DISTANCE or last - x < _WIDE_TICK_DISTANCE
            last_kept, wide = x, wide if is_minor else x
            yield Tick(text, coordinate(x), "middle", is_minor)
    yield Tick(last_text, coordinate(last), "end" if last > WIDTH - 12 else "middle")


def sparkline(histogram: Histogram) -> str:
    """A small histogram without an axis, as the data of an SVG path."""
    highest = max(histogram.counts)
    step = SPARK_WIDTH / len(histogram.counts)
    width = min(max(step - 1, 1.0), 10.0)
    bottom = SPARK_HEIGHT
    return "".join(
        f"M{coordinate(at * step + (step - width) / 2)} {bottom}"
        f"v-{coordinate(max((bottom - 2) * count / highest, 1))}h{coordinate(width)}V{bottom}z"
        for at, count in enumerate(histogram.counts)
        if count
    )


def shares(counts: Mapping[str, int]) -> Iterator[Rect]:
    """One bar divided by the share of each count that is not 0."""
    total, x = sum(counts.values()), 0.0
    for label, count in counts.items():
        if count:
            width = WIDTH * count / total
            yield Rect(label, count, x=coordinate(x), width=coordinate(max(width, 1.5)))
            x += width


def _short(count: int) -> str:
    """A round count in few characters: 500, 2.5k, 50k, 1.5M."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if count >= unit:
            return f"{count / unit:g}{name}"
    return str(count)


def coordinate(value: float) -> str:
    """A coordinate with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
