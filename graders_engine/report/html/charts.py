"""Charts as inline SVG: bars, a sparkline, a bar of parts. Each says in words what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from graders_engine.report.histogram import Histogram
from graders_engine.report.html.markup import el

_WIDTH, _HEIGHT = 720, 220
_FOOT = 26
"""Height below the bars for the scale's numbers."""
_WIDEST = 80
"""Width of a bar, at most: a few values are no reason for blocks."""


def histogram(shown: Histogram, name: str) -> Element:
    """Bars over a scale; each tells its range and count when pointed at."""
    most = max(shown.counts)
    step = min(_WIDTH / len(shown.counts), _WIDEST)
    gap = min(2.0, step / 6)
    room = _HEIGHT - _FOOT - 16
    bars = []
    for place, count in enumerate(shown.counts):
        height = max(room * count / most, 1.0) if count else 0.0
        if count:
            bars.append(
                el(
                    "rect",
                    el("title", f"{shown.label(place)}: {count:,}"),
                    x=_number(place * step + gap / 2),
                    y=_number(_HEIGHT - _FOOT - height),
                    width=_number(step - gap),
                    height=_number(height),
                    rx=_number(min(2.0, step / 4)),
                )
            )
    return el(
        "svg",
        el("title", name, id="histogram-title"),
        el("desc", shown.described(), id="histogram-desc"),
        el("g", *bars, class_="bars"),
        el("line", x1=0, x2=_WIDTH, y1=_HEIGHT - _FOOT, y2=_HEIGHT - _FOOT, class_="axis"),
        *_scale(shown, step),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_labelledby="histogram-title histogram-desc",
        class_="histogram",
    )


def _scale(shown: Histogram, step: float) -> list[Element]:
    """The numbers below the bars: at most eleven, at the bars' middles or at their edges."""
    texts = []
    for text, at in shown.ticks():
        x = at * step
        anchor = "start" if x < 1 else "end" if x > _WIDTH - 1 else "middle"
        texts.append(el("text", text, x=_number(x), y=_HEIGHT - 8, text_anchor=anchor))
    return texts


def sparkline(shown: Histogram, name: str) -> Element:
    """A small histogram without a scale, for a table's cell."""
    most = max(shown.counts)
    step = min(120 / len(shown.counts), 12)
    path = "".join(
        f"M{_number(place * step)} 24v-{_number(max(22 * count / most, 1))}h{_number(max(step - 1, 1))}"
        f"V24z"
        for place, count in enumerate(shown.counts)
        if count
    )
    return el(
        "svg",
        el("title", f"{name}: {shown.described()}"),
        el("path", d=path),
        viewBox="0 0 120 24",
        role="img",
        class_="sparkline",
    )


def parts(named: Sequence[tuple[str, int]], name: str) -> Element:
    """One bar, divided: the share of each part."""
    total = sum(count for _, count in named) or 1
    pieces, x = [], 0.0
    for part, count in named:
        width = _WIDTH * count / total
        if count:
            pieces.append(
                el(
                    "rect",
                    el("title", f"{part}: {count:,}"),
                    x=_number(x),
                    y=0,
                    width=_number(max(width, 1.5)),
                    height=10,
                    class_=part,
                )
            )
        x += width
    told = ", ".join(f"{part} {count:,}" for part, count in named)
    return el(
        "svg",
        el("title", f"{name}: {told}"),
        *pieces,
        viewBox=f"0 0 {_WIDTH} 10",
        preserveAspectRatio="none",
        role="img",
        class_="parts",
    )


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
