"""The tables of a run's report: the histogram, the sub-rewards, their correlations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from graders_engine.dataset.results.tally import Tally
from graders_engine.report.formatting import (
    format_correlation,
    format_interval,
    format_mean,
    format_rows,
)
from graders_engine.report.histogram import Histogram
from graders_engine.report.terminal.screen import Heading, Screen
from graders_engine.report.visible import visible
from graders_engine.report.width import columns_of, padded, short_names

if TYPE_CHECKING:  # numpy and scipy take a while to import
    from graders_engine.report.numbers import Numbers

_BAR_WIDTH = 40
"""The longest bar of a histogram, in columns."""
_KEY_WIDTH = 24
"""The longest key of a sub-reward, in columns."""
_CORRELATION_WIDTH = 10
"""Columns of one correlation."""


def reward_bars(bars: Histogram, screen: Screen) -> Iterator[str]:
    """The distribution of the rewards, as bars."""
    yield ""
    yield Heading("rewards")
    width = max(map(len, bars.labels))
    highest = max(bars.counts)
    longest = max(min(_BAR_WIDTH, screen.columns - width - len(f"{highest:,}") - 6), 1)
    for label, count in zip(bars.labels, bars.counts, strict=True):
        if count:
            bar = _bar(count, highest, longest)
            yield f"  {label:<{width}}  {bar:<{longest}}  {count:,}"


def sub_reward_means(tally: Tally, screen: Screen) -> Iterator[str]:
    """The mean of each sub-reward."""
    if not tally.sub_reward_sums:
        return
    unit = "samples" if tally.grouped else "rows"
    yield ""
    yield Heading(f"sub-rewards, mean over the {unit} that count in each")
    yield from _served_parts(tally)
    keys = _key_column(list(tally.sub_reward_sums), screen)
    for key, (name, total) in zip(keys, tally.sub_reward_sums.items(), strict=True):
        rows = tally.sub_reward_rows[name]
        yield f"  {key}  {format_mean(total / rows)}  over {format_rows(rows, grouped=tally.grouped)}"


def _served_parts(tally: Tally) -> Iterator[str]:
    if tally.served:
        yield "  a part that fails by the sample or the grader counts as 0"


def sub_rewards(numbers: Numbers, screen: Screen) -> Iterator[str]:
    """The mean of each sub-reward, with its interval."""
    if not numbers.sub_rewards:
        return
    unit = "samples" if numbers.digest.tally.grouped else "rows"
    yield ""
    yield Heading(f"sub-rewards, mean over the {unit} that count in each, 95 % interval")
    yield from _served_parts(numbers.digest.tally)
    keys = _key_column([part.key for part in numbers.sub_rewards], screen)
    for key, part in zip(keys, numbers.sub_rewards, strict=True):
        mean = part.mean
        interval = format_interval(mean)
        over = format_rows(mean.rows, grouped=numbers.digest.tally.grouped)
        yield f"  {key}  {format_mean(mean.value)}  {interval:<16}  over {over}"
    if (left_out := len(numbers.digest.sub_rewards) - len(numbers.sub_rewards)) > 0:
        yield f"  and {left_out:,} more"


def _key_column(keys: Sequence[str], screen: Screen) -> list[str]:
    """The keys of sub-rewards, each short enough for a column, and all of one width."""
    short = short_names([visible(key) for key in keys], min(_KEY_WIDTH, screen.columns // 3))
    width = max(map(columns_of, short))
    return [padded(key, width) for key in short]


def correlations(numbers: Numbers, screen: Screen) -> Iterator[str]:
    """The correlations of the reward and the sub-rewards, in parts where a terminal is narrow."""
    if (
        len(numbers.correlations) < 3
    ):  # a single part correlates with the reward as the formula says
        return
    yield ""
    yield Heading("correlations")
    keys = [key for key, _ in numbers.correlations]
    names = _key_column(keys, screen)
    heads = short_names([visible(key) for key in keys], _CORRELATION_WIDTH - 1)
    # The matrix is symmetric, so its lower left half is enough; where it is too wide, it is printed in parts.
    room = max((screen.columns - columns_of(names[0]) - 2) // _CORRELATION_WIDTH, 1)
    step = room if screen.wraps else len(keys)
    for first in range(0, len(keys) - 1, step):
        end = min(first + step, len(keys) - 1)
        head = "".join(_right(key) for key in heads[first:end])
        yield f"  {' ' * columns_of(names[0])}{head}"
        for row in range(first + 1, len(keys)):
            values = numbers.correlations[row][1][first : min(row, end)]
            cells = "".join(_right(format_correlation(value)) for value in values)
            yield f"  {names[row]}{cells}"


def _right(text: str) -> str:
    return " " * (_CORRELATION_WIDTH - columns_of(text)) + text


def _bar(value: float, largest: float, columns: int) -> str:
    eighths = round(8 * columns * max(value, 0.0) / largest) if largest else 0
    whole, part = divmod(min(eighths, 8 * columns), 8)
    return "█" * whole + ("▏▎▍▌▋▊▉"[part - 1] if part else "")
