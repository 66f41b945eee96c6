"""A comparison of two runs, as text for a terminal."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from graders_engine.dataset.results.changes import Change
from graders_engine.dataset.results.compare import Comparison, RowChange, RunFacts
from graders_engine.dataset.results.line import ResultLine
from graders_engine.report.formatting import (
    format_correlation,
    format_interval,
    format_number,
    format_reward,
    format_rows,
)
from graders_engine.report.visible import one_line, visible
from graders_engine.statistics.paired import Paired

_WIDTH = 130
"""Columns of a line that quotes something."""
_MAX_CHANGES = 20
"""Changes of the grader, and of the settings, that are printed."""


def comparison_text(comparison: Comparison) -> str:
    """Both means, the difference and its interval, the rows left out, and the rows that changed."""
    served = comparison.served
    lines = [
        *_sides(comparison),
        *_difference("difference", comparison.rewards),
        *(_served_difference("as served", served) if served else ()),
        *_sub_rewards(comparison),
        *_left_out(comparison),
        *_changed_rows("changed most", comparison.changed_most),
        *_changed_rows("status changed", comparison.status_changes),
        *_changes("grader", comparison.grader_changes),
        *_changes("settings", comparison.setting_changes),
    ]
    return visible("\n".join(lines))


def _sides(comparison: Comparison) -> Iterator[str]:
    means = comparison.rewards
    width = max(len(side.name) for side in (comparison.before, comparison.after))
    for name, side, mean in (
        ("A", comparison.before, means and means.before),
        ("B", comparison.after, means and means.after),
    ):
        text = (
            f"mean {mean.value:.4f}, 95 % interval {format_interval(mean)}" if mean else "no mean"
        )
        yield f"{name}  {side.name:<{width}}  {text}  {_counts(side)}"


def _counts(side: RunFacts) -> str:
    counts = [f"{count:,} {status}" for status, count in side.statuses.items() if count]
    return f"({', '.join(counts) or 'no rows'})"


def _difference(name: str, pair: Paired | None) -> Iterator[str]:
    yield ""
    if pair is None:
        yield "no difference to show: no row is scored in both"
        return
    yield _first_line(name, pair)
    if not (pair.wins or pair.losses):
        return
    difference, margin = pair.difference, " " * 11
    grouped = "" if difference.groups == difference.rows else f" in {difference.groups:,} groups"
    rows = f"{format_rows(difference.rows)}{grouped}"
    yield f"{margin} over {rows} scored in both: B is {_verdict(pair)}"
    yield f"{margin} {_p_value(pair)}"
    yield f"{margin} B higher on {pair.wins:,}, the same on {pair.ties:,}, lower on {pair.losses:,}"
    spearman, kendall = format_correlation(pair.spearman), format_correlation(pair.kendall)
    yield f"{margin} rank correlation {spearman} (Spearman), {kendall} (Kendall)"
    if pair.detectable is not None:
        smallest = format_number(pair.detectable)
        yield f"{margin} such rows have an 80 % chance to detect a true difference of {smallest}"


def _served_difference(name: str, pair: Paired) -> Iterator[str]:
    yield ""
    yield _first_line(name, pair)
    if pair.wins or pair.losses:
        rows = format_rows(pair.difference.rows)
        yield f"{' ' * 11} over {rows}, invalid ones as the hosted API counts them"
        yield f"{' ' * 11} {_p_value(pair)}"


def _first_line(name: str, pair: Paired) -> str:
    difference = pair.difference
    if not (pair.wins or pair.losses):
        return f"{name:<11} none: the same reward on all {format_rows(difference.rows)}"
    return f"{name:<11} {difference.value:+.4f}  95 % interval {format_interval(difference)}"


def _p_value(pair: Paired) -> str:
    p = "p < 0.0001" if pair.p_value < 0.0001 else f"p = {format_number(pair.p_value)}"
    return f"{p} ({pair.test})"


def _verdict(pair: Paired) -> str:
    low, high = pair.difference.low, pair.difference.high
    if low is not None and low > 0:
        return "higher"
    if high is not None and high < 0:
        return "lower"
    return "not shown to differ"


def _sub_rewards(comparison: Comparison) -> Iterator[str]:
    if not comparison.sub_rewards:
        return
    yield ""
    yield "sub-rewards, mean in A and B, difference, 95 % interval"
    width = max(map(len, comparison.sub_rewards))
    for key, part in comparison.sub_rewards.items():
        difference = part.difference
        same = difference.low is None and not difference.value
        change = "the same" if same else f"{difference.value:+.4f}  {format_interval(difference)}"
        yield f"  {key:<{width}}  {part.before:.4f}  {part.after:.4f}  {change}"


def _left_out(comparison: Comparison) -> Iterator[str]:
    lines = [f"  {count:,} {statuses}" for statuses, count in comparison.unscored.items()]
    for side, count in (("A", comparison.only_before), ("B", comparison.only_after)):
        if count:
            lines.append(f"  {count:,} only in {side}")
    if lines:
        yield ""
        yield "rows left out of the difference"
        yield from lines


def _changed_rows(title: str, rows: Sequence[RowChange]) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield title
    width = max(len(row.before.name) for row in rows)
    for row in rows:
        change = f"{_reward_or_status(row.before)} -> {_reward_or_status(row.after)}"
        details = one_line("; ".join(_details(row)), _WIDTH)
        yield f"  line {row.before.name:<{width}}  {change:<18}  {details}".rstrip()


def _reward_or_status(result: ResultLine) -> str:
    return format_reward(result.reward) if result.status == "scored" else result.status


def _details(row: RowChange) -> Iterator[str]:
    """What changed within a row: its sub-rewards, and the flags that only one of the two runs has."""
    before, after = row.before, row.after
    for key in dict.fromkeys((*before.sub_rewards, *after.sub_rewards)):
        old, new = before.sub_rewards.get(key), after.sub_rewards.get(key)
        if old != new:
            yield f"{key} {format_reward(old)} -> {format_reward(new)}"
    for name, flags, others in (("A", before.flags, after.flags), ("B", after.flags, before.flags)):
        for flag, details in flags.items():
            if flag not in others:
                yield f"{name}: {flag}" + (f", {details}" if details else "")


def _changes(name: str, changes: Sequence[Change]) -> Iterator[str]:
    if not changes:
        return
    yield ""
    yield f"{name}: {len(changes)} {'difference' if len(changes) == 1 else 'differences'}"
    for change in changes[:_MAX_CHANGES]:
        yield from _change(change)
    if len(changes) > _MAX_CHANGES:
        yield f"  and {len(changes) - _MAX_CHANGES:,} more"


def _change(change: Change) -> Iterator[str]:
    before, after = change.before, change.after
    if isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        yield f"  {change.path}"
        lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=1, lineterm="")
        yield from (f"    {line}" for line in list(lines)[2:])
        return
    texts = {
        "added": f"added, {_json(after)}",
        "removed": f"removed, it was {_json(before)}",
        "changed": f"{_json(before)} -> {_json(after)}",
    }
    yield f"  {change.path or 'the whole value'}  {one_line(texts[change.kind], _WIDTH)}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
