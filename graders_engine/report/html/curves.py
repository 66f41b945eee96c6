"""The geometry of curves by step: what the macro in `templates/curves.html.jinja` draws as SVG."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import isnan, nan
from typing import NamedTuple

from graders_engine.report.formatting import format_count, format_number
from graders_engine.report.html.charts import Tick, coordinate, round_values, share_of

WIDTH, HEIGHT = 720, 250
"""Size of a chart, in SVG units."""
LEFT, TOP = 92, 14
"""Distance of the left end of the axis, and of its top."""
AXIS = HEIGHT - 34
"""Distance of the horizontal axis from the top."""
RIGHT = WIDTH - 10
MOST_POINTS = 240
"""Steps that a line has; of more, as many neighbours as needed are one point of it."""
MOST_MARKS = 60
"""Values that are drawn as marks; of more, a line is drawn."""
_MOST_PLACES = 80
"""Places of a chart that say their numbers when pointed at."""
_TICK_DISTANCE = 70
_WIDE_TICK_DISTANCE = 150
_BAND = "Each point is the mean of up to {} values; the band goes from the lowest to the highest."


class Point(NamedTuple):
    """Neighbouring steps as one point of a line.

    Attributes:
        first: the first of the steps.
        last: the last of them.
        mean: of their values; None where none has any.
        low: the lowest of their values.
        high: the highest of them.
    """

    first: int
    last: int
    mean: float | None
    low: float | None
    high: float | None

    @property
    def middle(self) -> float:
        """Where it stands."""
        return (self.first + self.last) / 2


@dataclass(frozen=True, slots=True)
class Series:
    """A metric by step.

    Attributes:
        name: what it is called in the legend.
        steps: in their order.
        values: of each step; NaN where it has none, which is a gap.
        kind: `train` or `valid`; its class.
        is_marked: whether it is drawn as marks rather than as a line, as far as there are few.
    """

    name: str
    steps: Sequence[int]
    values: Sequence[float]
    kind: str
    is_marked: bool = False

    @property
    def gaps(self) -> list[int]:
        """The steps without a value."""
        return [step for step, value in zip(self.steps, self.values, strict=True) if isnan(value)]


class Shape(NamedTuple):
    """A path of a chart, and its class; what it says when pointed at may be empty."""

    d: str
    kind: str
    label: str = ""


class Area(NamedTuple):
    """A part of a chart that says its numbers when pointed at."""

    x: str
    width: str
    label: str


@dataclass(frozen=True, slots=True)
class Curves:
    """A chart of curves.

    Attributes:
        id: its id on the page.
        name: what it is of.
        description: in words, what it says.
        bands: from the lowest to the highest value where a point stands for several steps.
        lines: of the metrics.
        marks: of single values.
        gaps: of steps that have no value, at the axis.
        areas: parts that say their numbers.
        x_ticks: the steps below the axis.
        y_ticks: the values at the left.
        legend: (kind, name) of each metric.
        note: sentences on how it is drawn, and to be read with it; may be empty.
        gap: what is said of a step without a value.
    """

    id: str
    name: str
    description: str
    bands: Sequence[Shape]
    lines: Sequence[Shape]
    marks: Sequence[Shape]
    gaps: Sequence[Shape]
    areas: Sequence[Area]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    legend: Sequence[tuple[str, str]]
    note: str
    gap: str


def curves(
    id: str,  # noqa: A002 - of the page
    name: str,
    series: Sequence[Series],
    gap: str = "no value",
    note: str = "",
) -> Curves | None:
    """A chart of metrics; None if no step has a value.

    Args:
        id: of the chart on the page.
        name: what it is of.
        series: the metrics.
        gap: what is said of a step without a value.
        note: a sentence to be read with it.
    """
    numbers = [end for each in series for end in _ends(each.values)]
    if not numbers:
        return None
    steps = [each.steps[end] for each in series for end in (0, -1) if each.steps]
    scale = _Scale.of(min(steps), max(steps), min(numbers), max(numbers))
    drawn = [each for each in series if not _has_marks(each)]
    points = {each.kind: thinned(each.steps, each.values) for each in drawn}
    size = max((_size(each.values) for each in drawn), default=1)
    return Curves(
        id, name, _described(series, gap),
        [Shape(d, kind) for kind, line in points.items() for d in scale.bands(line)],
        [Shape(d, kind) for kind, line in points.items() for d in scale.lines(line)],
        [mark for each in series if _has_marks(each) for mark in scale.marks(each)],
        [*scale.gaps(series, gap)], [*scale.areas(series)],
        scale.x_ticks(), scale.y_ticks(),
        [(_swatch(each), each.name) for each in series if each.values],
        " ".join(filter(None, (note, _BAND.format(format_count(size)) if size > 1 else ""))), gap,
    )  # fmt: skip


def _swatch(series: Series) -> str:
    """The class of what stands for a metric in the legend."""
    return f"{series.kind} {'mark' if _has_marks(series) else 'line'}"


def _has_marks(series: Series) -> bool:
    return series.is_marked and len(series.values) <= MOST_MARKS


def _ends(values: Sequence[float]) -> list[float]:
    """The lowest and the highest value; none where there is none."""
    found = [value for value in values if not isnan(value)]
    return [min(found), max(found)] if found else []


def thinned(steps: Sequence[int], values: Sequence[float], most: int = MOST_POINTS) -> list[Point]:
    """A metric by step as at most so many points, which keep its lowest and its highest value.

    Args:
        steps: in their order.
        values: of each step; NaN where it has none.
        most: points.
    """
    size = _size(values, most)
    return [
        _point(steps[start : start + size], values[start : start + size])
        for start in range(0, len(values), size or 1)
    ]


def _size(values: Sequence[float], most: int = MOST_POINTS) -> int:
    """How many values a point stands for."""
    return math.ceil(len(values) / most)


def _point(steps: Sequence[int], values: Sequence[float]) -> Point:
    found = [value for value in values if not isnan(value)]
    if not found:
        return Point(steps[0], steps[-1], None, None, None)
    low, high = min(found), max(found)
    # Divided first, as the sum of large ones may be infinite; what is lost by that leaves the range at most.
    mean = found[0] if len(found) == 1 else math.fsum(value / len(found) for value in found)
    return Point(steps[0], steps[-1], min(max(mean, low), high), low, high)


def _around(low: float, high: float) -> tuple[float, float]:
    """Round ends of an axis around these; they may be infinite."""
    if low == high:
        room = abs(low) * 0.5 or 1.0
        return low - room, high + room
    first, second, *_ = round_values(low, high)
    step = second - first
    return math.floor(low / step) * step, math.ceil(high / step) * step


class _Scale(NamedTuple):
    """Where steps and values stand in a chart."""

    first: int
    last: int
    low: float
    high: float

    @classmethod
    def of(cls, first: int, last: int, low: float, high: float) -> _Scale:
        """The scale for steps and values: values within 0 and 1 have these as the ends of their axis."""
        if low >= 0 and high <= 1 and high > 0.25:
            return cls(first, last, 0.0, 1.0)
        ends = _around(low, high)
        return cls(first, last, *(ends if all(map(math.isfinite, ends)) else (low, high)))

    def x(self, step: float) -> float:
        """The place of a step."""
        return LEFT + (RIGHT - LEFT) * share_of(step, self.first, self.last)

    def y(self, value: float) -> float:
        """The place of a value."""
        return AXIS - (AXIS - TOP) * share_of(value, self.low, self.high)

    def lines(self, points: Sequence[Point]) -> Iterator[str]:
        """A path for each part of a line, which is broken where steps have no value."""
        for part in _parts(points):
            places = [
                f"{coordinate(self.x(one.middle))} {coordinate(self.y(one.mean or 0.0))}"
                for one in part
            ]
            # A part of one point is a dot: a line from it to itself.
            yield "M" + "L".join(places if len(places) > 1 else places * 2)

    def bands(self, points: Sequence[Point]) -> Iterator[str]:
        """A path around the lowest and the highest value of each point that stands for several steps."""
        if all(one.first == one.last for one in points):
            return
        for part in _parts(points):
            above = [(self.x(one.middle), self.y(one.high or 0.0)) for one in part]
            below = [(self.x(one.middle), self.y(one.low or 0.0)) for one in part]
            around = [f"{coordinate(x)} {coordinate(y)}" for x, y in (*above, *reversed(below))]
            yield "M" + "L".join(around) + "Z"

    def marks(self, series: Series) -> Iterator[Shape]:
        """A mark for each value."""
        for step, value in zip(series.steps, series.values, strict=True):
            if not isnan(value):
                place = f"{coordinate(self.x(step))} {coordinate(self.y(value))}"
                label = f"step {format_count(step)}, {series.name}: {format_number(value)}"
                yield Shape(f"M{place}L{place}", series.kind, label)

    def gaps(self, series: Sequence[Series], gap: str) -> Iterator[Shape]:
        """A mark at the axis for each step without a value; for some of them, if there are many."""
        for each in series:
            missing = each.gaps
            for step in missing[:: math.ceil(len(missing) / MOST_MARKS) or 1]:
                x = coordinate(self.x(step) - 4)
                label = f"step {format_count(step)}, {each.name}: {gap}"
                yield Shape(f"M{x} {AXIS - 4}l8 8m0-8l-8 8", "gap", label)

    def areas(self, series: Sequence[Series]) -> Iterator[Area]:
        """Parts of the chart, side by side, that say the numbers of the step in their middle."""
        steps = max((each.steps for each in series), key=len)
        chosen = [*steps[:: math.ceil(len(steps) / _MOST_PLACES)]]
        if chosen[-1] != steps[-1]:
            chosen.append(steps[-1])
        edges = [LEFT, *((self.x(a) + self.x(b)) / 2 for a, b in pairwise(chosen)), RIGHT]
        for at, step in enumerate(chosen):
            values = [
                f"{each.name} {format_number(value)}"
                for each in series
                if not isnan(value := _value_at(each, step))
            ]
            label = f"step {format_count(step)}: {', '.join(values) or 'no value'}"
            yield Area(coordinate(edges[at]), coordinate(edges[at + 1] - edges[at]), label)

    def x_ticks(self) -> list[Tick]:
        """Round steps below the axis, and the last one."""
        rounded = [value for value in round_values(self.first, self.last) if value == int(value)]
        kept, found = -math.inf, []
        wide = -math.inf
        end = self.x(self.last)
        for value in rounded:
            x = self.x(value)
            if x - kept >= _TICK_DISTANCE and end - x >= _TICK_DISTANCE:
                is_minor = x - wide < _WIDE_TICK_DISTANCE or end - x < _WIDE_TICK_DISTANCE
                kept, wide = x, wide if is_minor else x
                found.append(Tick(format_count(int(value)), coordinate(x), "middle", is_minor))
        anchor = "middle" if self.first == self.last else "end"
        return [*found, Tick(f"step {format_count(self.last)}", coordinate(end), anchor)]

    def y_ticks(self) -> list[Tick]:
        """Round values at the left."""
        values = [0.0, 0.25, 0.5, 0.75, 1.0] if (self.low, self.high) == (0.0, 1.0) else []
        values = values or round_values(self.low, self.high)
        return [Tick(format_number(value), coordinate(self.y(value))) for value in values]


def _parts(points: Sequence[Point]) -> Iterator[list[Point]]:
    """The points with a value, those that follow each other together."""
    for has_value, part in groupby(points, lambda one: one.mean is not None):
        if has_value:
            yield list(part)


def _value_at(series: Series, step: int) -> float:
    at = bisect_left(series.steps, step)
    return series.values[at] if at < len(series.steps) and series.steps[at] == step else nan


def _described(series: Sequence[Series], gap: str) -> str:
    """In words, what a chart says."""
    return " ".join(_sentence(each, gap) for each in series if each.values)


def _sentence(series: Series, gap: str) -> str:
    missing, of = len(series.gaps), len(series.values)
    without = f" {format_count(missing)} of {format_count(of)} steps: {gap}." if missing else ""
    known = [at for at, value in enumerate(series.values) if not isnan(value)]
    if not known:
        return f"{series.name}:{without}"
    first, last = (
        f"{format_number(series.values[at])} at step {format_count(series.steps[at])}"
        for at in (known[0], known[-1])
    )
    low, high = map(format_number, _ends(series.values))
    return f"{series.name}: {first}, {last}, between {low} and {high}.{without}"
