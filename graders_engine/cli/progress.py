"""Show the progress of a run on standard error: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import click

from graders_engine.dataset.results.tally import Tally
from graders_engine.dataset.scoring.run import OnProgress

REDRAW_S = 0.2
"""The bar is redrawn at most once in these seconds."""
LINE_S = 10.0
"""A line is printed at most once in these seconds; a shorter run prints none."""
_BAR_COLUMNS = 24


@contextmanager
def progress(*, quiet: bool) -> Iterator[OnProgress]:
    """The `on_progress` for `score_file`; at the end, the cursor is on a new line."""
    if quiet:
        yield lambda done, size, tally: None
        return
    display = _Display(terminal=sys.stderr.isatty())
    try:
        yield display.update
    finally:
        display.end()


class _Display:
    def __init__(self, *, terminal: bool) -> None:
        self._terminal = terminal
        self._next_at = monotonic() + (0 if terminal else LINE_S)
        self._start = (0.0, -1, 0)  # time, position and rows at the first update
        self._line = ""

    def update(self, done: int, size: int | None, tally: Tally) -> None:
        now = monotonic()
        if self._start[1] < 0:
            self._start = (now, done, tally.rows)
        ended = size is not None and done >= size and self._terminal
        if now < self._next_at and not ended:
            return
        self._next_at = now + (REDRAW_S if self._terminal else LINE_S)
        line = "  ".join(self._status_fields(now, done, size, tally))
        if self._terminal:
            self._line = line
            click.echo(f"\r\x1b[K{line}", err=True, nl=False)
        else:
            click.echo(line, err=True)

    def end(self) -> None:
        if self._line:
            click.echo(err=True)

    def _status_fields(
        self, now: float, done: int, size: int | None, tally: Tally
    ) -> Iterator[str]:
        started, done_before, rows_before = self._start
        seconds = now - started
        if size:
            share = min(done / size, 1.0)
            filled = round(share * _BAR_COLUMNS)
            bar = f"{'█' * filled}{'░' * (_BAR_COLUMNS - filled)} " if self._terminal else ""
            yield f"scoring {bar}{share:4.0%}"
        else:
            yield "scoring"
        yield f"{tally.rows:,} rows"
        if seconds > 0 and tally.rows > rows_before:
            yield f"{(tally.rows - rows_before) / seconds:,.0f} rows/s"
            if size and done_before < done < size:
                yield f"{_format_duration(seconds * (size - done) / (done - done_before))} left"
        if tally.mean is not None:
            yield f"mean {tally.mean:.4f}"
        for name, count in (("invalid", tally.invalid), ("failed", tally.failed)):
            if count:
                yield f"{count:,} {name}"


def _format_duration(seconds: float) -> str:
    """A duration as a clock shows it: 7s, 3:07, 1:03:07."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
