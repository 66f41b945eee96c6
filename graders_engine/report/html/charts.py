"""The geometry of the page's charts: what the macros in `templates/charts.html.jinja` draw as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from graders_engine.report.histogram import Histogram

WIDTH, HEIGHT = 720, 220
"""Size of a bar chart, in SVG units; the numbers are below the axis, the bars above."""
AXIS = HEIGHT - 26
"""Distance of the axis from the top."""
_HEADROOM = 16
"""Distance of the highest bar from the top."""
_MAX_STEP = 80
"""Largest distance between two bars, so that a chart of a few values does not consist of blocks."""
SPARK_WIDTH, SPARK_HEIGHT = 120, 24
"""Size of a sparkline, in SVG units."""


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle of a chart, as the values of its SVG attributes, and what it says when pointed at."""

    label: str
    count: int
    x: str
    width: str
    y: str = "0"
    height: str = "0"
    radius: str = "0"


@dataclass(frozen=True, slots=True)
class Tick:
    """A number below the axis: its text, its position, and the SVG `text-anchor` at that position."""

    text: str
    x: str
    anchor: str


def bars(histogram: Histogram) -> Iterator[Rect]:
    """A bar for each count that is not 0."""
    step, highest = _step(histogram), max(histogram.counts)
    gap = min(2.0, step / 6)
    for at, (label, count) in enumerate(zip(histogram.labels, histogram.counts, strict=True)):
        height = max((AXIS - _HEADROOM) * count / highest, 1.0)
        if count:
            yield Rect(
                label,
                count,
                x=_svg(at * step + gap / 2),
                width=_svg(step - gap),
                y=_svg(AXIS - height),
                height=_svg(height),
                radius=_svg(min(2.0, step / 4)),
            )


def ticks(histogram: Histogram) -> Iterator[Tick]:
    """The numbers below the axis: at most eleven, in the middle of the bars or at their edges."""
    step = _step(histogram)
    for text, at in histogram.ticks():
        x = at * step
        yield Tick(text, _svg(x), "start" if x < 1 else "end" if x > WIDTH - 1 else "middle")


def sparkline(histogram: Histogram) -> str:
    """A small histogram without an axis, as the data of an SVG path."""
    highest = max(histogram.counts)
    step = min(SPARK_WIDTH / len(histogram.counts), 12)
    bottom = SPARK_HEIGHT
    return "".join(
        f"M{_svg(at * step)} {bottom}v-{_svg(max((bottom - 2) * count / highest, 1))}"
        f"h{_svg(max(step - 1, 1))}V{bottom}z"
        for at, count in enumerate(histogram.counts)
        if count
    )


def shares(counts: Mapping[str, int]) -> Iterator[Rect]:
    """One bar divided by the share of each count that is not 0."""
    total, x = sum(counts.values()), 0.0
    for label, count in counts.items():
        if count:
            width = WIDTH * count / total
            yield Rect(label, count, x=_svg(x), width=_svg(max(width, 1.5)))
            x += width


def _step(histogram: Histogram) -> float:
    """Distance between the left edges of two bars."""
    return min(WIDTH / len(histogram.counts), _MAX_STEP)


def _svg(value: float) -> str:
    """A coordinate with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
