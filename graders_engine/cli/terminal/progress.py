"""Show the progress of a run on standard error: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic

import click

from graders_engine.dataset.results.tally import Tally
from graders_engine.dataset.scoring.run import OnProgress
from graders_engine.report.terminal.screen import screen_of
from graders_engine.report.width import columns_of

REDRAW_S = 0.2
"""The bar is redrawn at most once in these seconds."""
LINE_S = 10.0
"""A line is printed at most once in these seconds; a shorter run prints none."""
_BAR_COLUMNS, _LEAST_BAR_COLUMNS = 24, 6
_DROPPED = ("rate", "mean", "invalid", "left", "failed", "rows")
"""What a narrow terminal does not show, the least important first."""


@contextmanager
def progress(*, quiet: bool) -> Iterator[OnProgress]:
    """The `on_progress` for `score_file`; at the end, the cursor is on a new line."""
    if quiet:
        yield lambda done, size, tally: None
        return
    display = _Display(terminal=sys.stderr.isatty() and os.environ.get("TERM") != "dumb")
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
        fields = dict(self._status_fields(now, done, size, tally))
        if not self._terminal:
            click.echo(_joined(fields), err=True)
            return
        # A line that fills the last column makes some terminals begin another one.
        columns = screen_of(sys.stderr).columns - 1
        # If the terminal has become narrower, the line before stands on several lines.
        above = max(columns_of(self._line) - 1, 0) // (columns + 1)
        self._line = fitted(fields, min(done / size, 1.0) if size else None, columns)
        up = f"\x1b[{above}A" if above else ""
        click.echo(f"\r{up}\x1b[J{self._line}", err=True, nl=False, color=True)

    def end(self) -> None:
        if self._line:
            click.echo(err=True)

    def _status_fields(
        self, now: float, done: int, size: int | None, tally: Tally
    ) -> Iterator[tuple[str, str]]:
        started, done_before, rows_before = self._start
        seconds = now - started
        yield "share", f"scoring {min(done / size, 1.0):4.0%}" if size else "scoring"
        unit = "samples" if tally.grouped else "rows"
        yield "rows", f"{tally.rows:,} {unit}"
        if seconds > 0 and tally.rows > rows_before:
            yield "rate", f"{(tally.rows - rows_before) / seconds:,.0f} {unit}/s"
            if size and done_before < done < size:
                left = _format_duration(seconds * (size - done) / (done - done_before))
                yield "left", f"{left} left"
        if tally.mean is not None:
            yield "mean", f"mean {tally.mean:.4f}"
        for name, count in (("invalid", tally.invalid), ("failed", tally.failed)):
            if count:
                yield name, f"{count:,} {name}"


def fitted(fields: Mapping[str, str], share: float | None, columns: int) -> str:
    """The fields of a status on one line: with a bar if there is room, else the important ones.

    Args:
        fields: by name, as in `_DROPPED`; "share" comes first.
        share: how much is done, between 0 and 1; without it there is no bar.
        columns: what the line may take.
    """
    kept = dict(fields)
    for name in _DROPPED:
        if len(_joined(kept)) <= columns:
            break
        kept.pop(name, None)
    bar = min(_BAR_COLUMNS, columns - len(_joined(kept)) - 1)
    if share is not None and bar >= _LEAST_BAR_COLUMNS:
        filled = round(share * bar)
        drawn = "█" * filled + "░" * (bar - filled)
        kept["share"] = kept["share"].replace("scoring ", f"scoring {drawn} ")
    return _joined(kept)[:columns]


def _joined(fields: Mapping[str, str]) -> str:
    return "  ".join(fields.values())


def _format_duration(seconds: float) -> str:
    """A duration as a clock shows it: 7s, 3:07, 1:03:07."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
