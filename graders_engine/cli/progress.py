"""How a run tells on standard error how far it is: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import click

from graders_engine.dataset.results.tally import Tally
from graders_engine.dataset.scoring.score import OnProgress

REDRAW_S = 0.2
"""Seconds between two pictures of the bar, at least."""
LINE_S = 10.0
"""Seconds between two lines, at least; a run that is shorter prints none."""
_BAR = 24
"""Columns of the bar."""


@contextmanager
def progress(*, quiet: bool) -> Iterator[OnProgress]:
    """What to give to `score_file`; the bar is gone from the terminal in the end."""
    if quiet:
        yield lambda done, size, tally: None
        return
    shown = _Shown(terminal=sys.stderr.isatty())
    try:
        yield shown.tell
    finally:
        shown.end()


class _Shown:
    def __init__(self, *, terminal: bool) -> None:
        self._terminal = terminal
        self._next_at = monotonic() + (0 if terminal else LINE_S)
        self._first = (0.0, -1, 0)  # when, and how far, this run began
        self._drawn = ""

    def tell(self, done: int, size: int | None, tally: Tally) -> None:
        now = monotonic()
        if self._first[1] < 0:
            self._first = (now, done, tally.rows)
        ended = size is not None and done >= size and self._terminal
        if now < self._next_at and not ended:
            return
        self._next_at = now + (REDRAW_S if self._terminal else LINE_S)
        line = "  ".join(self._parts(now, done, size, tally))
        if self._terminal:
            self._drawn = line
            click.echo(f"\r\x1b[K{line}", err=True, nl=False)
        else:
            click.echo(line, err=True)

    def end(self) -> None:
        if self._drawn:
            click.echo(err=True)

    def _parts(self, now: float, done: int, size: int | None, tally: Tally) -> Iterator[str]:
        began, done_before, rows_before = self._first
        seconds = now - began
        if size:
            share = min(done / size, 1.0)
            filled = round(share * _BAR)
            bar = f"{'█' * filled}{'░' * (_BAR - filled)} " if self._terminal else ""
            yield f"scoring {bar}{share:4.0%}"
        else:
            yield "scoring"
        yield f"{tally.rows:,} rows"
        if seconds > 0 and tally.rows > rows_before:
            yield f"{(tally.rows - rows_before) / seconds:,.0f} rows/s"
            if size and done_before < done < size:
                yield f"{_spelled(seconds * (size - done) / (done - done_before))} left"
        if tally.mean is not None:
            yield f"mean {tally.mean:.4f}"
        for name, count in (("invalid", tally.invalid), ("failed", tally.failed)):
            if count:
                yield f"{count:,} {name}"


def _spelled(seconds: float) -> str:
    """A duration as a clock shows it: 7s, 3:07, 1:03:07."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
