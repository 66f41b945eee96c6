"""A run's numbers for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graders_engine.dataset.tally import BINS, Tally
from graders_engine.version import __version__

_BAR = 40
"""Columns of the longest bar of the histogram."""
_WIDTH = 130
"""Columns of a line that quotes a row's details."""
_MEANING = {
    "scored": "",
    "invalid": "the row's or the grader's fault",
    "failed": "infrastructure; no reward, not a zero",
}


def render(tally: Tally, settings: Mapping[str, Any]) -> str:
    """The report: means, what the rows came to, histogram, sub-rewards, flags, and what gave the numbers.

    Args:
        tally: the numbers.
        settings: what decided the rewards besides the grader (`Engine.settings`).
    """
    return "\n".join([*_lines(tally), "", *_settings(settings)])


def _settings(settings: Mapping[str, Any]) -> Iterator[str]:
    yield f"graders-engine {__version__}"
    for name, signature in settings.get("metrics", {}).items():
        yield f"  {name} as {signature.removeprefix(f'{name}: ')}"
    if sandbox := settings.get("sandbox"):
        none = "WITHOUT a sandbox: nothing kept the graded code in"
        yield f"  python graders {none if sandbox == 'none' else f'in the sandbox {sandbox}'}"


def _lines(tally: Tally) -> Iterator[str]:
    if tally.mean is None or tally.served_mean is None:
        yield f"no reward: none of {_rows(tally.rows)} was scored"
    else:
        yield f"mean reward  {tally.mean:.4f}  over {_rows(tally.scored)} scored"
        if tally.invalid:
            yield (
                f"as served    {tally.served_mean:.4f}  "
                f"with the {tally.invalid} invalid at what the hosted API gives for them"
            )
    yield ""
    for status, count in (
        ("scored", tally.scored),
        ("invalid", tally.invalid),
        ("failed", tally.failed),
    ):
        share = 100 * count / tally.rows if tally.rows else 0.0
        yield f"{status:<8}{count:>9,}{share:>7.1f} %  {_MEANING[status]}".rstrip()
    if tally.scored:
        yield from _histogram(tally.histogram)
    if tally.sub_reward_sums and tally.scored:
        yield ""
        yield "sub-rewards, mean over scored"
        width = max(map(len, tally.sub_reward_sums))
        for key, total in tally.sub_reward_sums.items():
            mean = total / tally.scored
            yield f"  {key:<{width}}  {mean:.4f}  {_bar(mean, 1.0)}".rstrip()
    if tally.flags:
        yield ""
        yield "flags"
        for flag, count in sorted(tally.flags.items(), key=lambda pair: -pair[1]):
            line, details = tally.examples[flag]
            first = f"first on line {line}" + (f": {details}" if details else "")
            yield _short(f"  {flag}  {count:,}, {first}")


def _histogram(counts: list[int]) -> Iterator[str]:
    yield ""
    yield "rewards"
    for position, count in enumerate(counts):
        if count:
            low, high = position / BINS, (position + 1) / BINS
            yield f"  {low:.1f}-{high:.1f}  {_bar(count, max(counts)):<{_BAR}}  {count:,}"


def _bar(value: float, largest: float) -> str:
    eighths = round(8 * _BAR * max(value, 0.0) / largest) if largest else 0
    whole, part = divmod(min(eighths, 8 * _BAR), 8)
    return "█" * whole + ("▏▎▍▌▋▊▉"[part - 1] if part else "")


def _rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def _short(line: str) -> str:
    first = line.splitlines()[0]
    return first if len(first) <= _WIDTH else first[: _WIDTH - 1] + "…"
