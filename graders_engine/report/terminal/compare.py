"""Two runs held against each other, for a terminal."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from graders_engine.dataset.results.changes import Change
from graders_engine.dataset.results.compare import Comparison, RowChange, RunFacts
from graders_engine.dataset.results.line import ResultLine
from graders_engine.report.formatting import correlation, interval, place, reward_of, written
from graders_engine.report.visible import one_line, visible
from graders_engine.statistics.paired import Paired

_WIDTH = 130
"""Columns of a line that quotes something."""
_CHANGES = 20
"""Changes of graders or settings that are shown."""


def render(found: Comparison) -> str:
    """The comparison: means, the difference and how sure it is, what was left out, the rows that changed."""
    lines = [
        *_sides(found),
        *_difference("difference", found.rewards, found),
        *(_difference("as served", found.served, found) if found.served else ()),
        *_parts(found),
        *_left_out(found),
        *_rows("changed most", found.changed_most),
        *_rows("scored, invalid, failed: changed", found.status_changes),
        *_changes("grader", found.grader_changes),
        *_changes("settings", found.setting_changes),
    ]
    return visible("\n".join(lines))


def _sides(found: Comparison) -> Iterator[str]:
    means = found.rewards
    width = max(len(side.name) for side in (found.before, found.after))
    for name, side, mean in (
        ("A", found.before, means and means.before),
        ("B", found.after, means and means.after),
    ):
        shown = f"mean {mean.value:.4f}, 95 % interval {interval(mean)}" if mean else "no mean"
        yield f"{name}  {side.name:<{width}}  {shown}  {_counts(side)}"


def _counts(side: RunFacts) -> str:
    counts = [f"{count:,} {status}" for status, count in side.statuses.items() if count]
    return f"({', '.join(counts) or 'no rows'})"


def _difference(name: str, pair: Paired | None, found: Comparison) -> Iterator[str]:
    yield ""
    if pair is None:
        yield "no difference to show: no row is scored in both"
        return
    difference = pair.difference
    if not (pair.wins or pair.losses):
        yield f"{name:<11} none: the same reward on all {_rows_of(difference.rows)}"
        return
    yield (
        f"{name:<11} {difference.value:+.4f}  95 % interval {interval(difference)}, "
        f"{_p(pair.p_value)} ({pair.test})"
    )
    margin = " " * 11
    if pair is found.served:
        over = f"over {_rows_of(difference.rows)}"
        yield f"{margin} {over}, the invalid ones at what the hosted API gives for them"
        return
    grouped = "" if difference.groups == difference.rows else f" in {difference.groups:,} groups"
    yield f"{margin} over {_rows_of(difference.rows)}{grouped} scored in both: B is {_verdict(pair)}"
    yield (
        f"{margin} B higher on {pair.wins:,}, the same on {pair.ties:,}, lower on {pair.losses:,}; "
        f"rank correlation {correlation(pair.spearman)} (Spearman), {correlation(pair.kendall)} (Kendall)"
    )
    if pair.detectable is not None:
        yield (
            f"{margin} such rows show a true difference of {written(pair.detectable)} "
            "four times out of five, a smaller one less often"
        )


def _verdict(pair: Paired) -> str:
    low, high = pair.difference.low, pair.difference.high
    if low is not None and low > 0:
        return "higher"
    if high is not None and high < 0:
        return "lower"
    return "not shown to differ"


def _p(value: float) -> str:
    return "p < 0.0001" if value < 0.0001 else f"p = {written(value)}"


def _parts(found: Comparison) -> Iterator[str]:
    if not found.sub_rewards:
        return
    yield ""
    yield "sub-rewards, mean in A and B, difference, 95 % interval"
    width = max(map(len, found.sub_rewards))
    for key, part in found.sub_rewards.items():
        apart = part.difference
        shown = (
            f"{apart.value:+.4f}  {interval(apart)}"
            if apart.low is not None or apart.value
            else "the same"
        )
        yield f"  {key:<{width}}  {part.before:.4f}  {part.after:.4f}  {shown}"


def _left_out(found: Comparison) -> Iterator[str]:
    lines = [f"  {found.unscored[pair]:,} {pair}" for pair in found.unscored]
    for side, count in (("A", found.only_before), ("B", found.only_after)):
        if count:
            lines.append(f"  {count:,} only in {side}")
    if lines:
        yield ""
        yield "rows left out of the difference"
        yield from lines


def _rows(title: str, rows: Sequence[RowChange]) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield title
    width = max(len(place(row.before)) for row in rows)
    for row in rows:
        moved = f"{_came_to(row.before)} -> {_came_to(row.after)}"
        why = "; ".join(_why(row))
        yield f"  line {place(row.before):<{width}}  {moved:<18}  {one_line(why, _WIDTH)}".rstrip()


def _came_to(result: ResultLine) -> str:
    return reward_of(result.reward) if result.status == "scored" else result.status


def _why(row: RowChange) -> Iterator[str]:
    """What changed within a row: sub-rewards, and the flags that one of the two has."""
    before, after = row.before, row.after
    for key in dict.fromkeys((*before.sub_rewards, *after.sub_rewards)):
        old, new = before.sub_rewards.get(key), after.sub_rewards.get(key)
        if old != new:
            yield f"{key} {reward_of(old)} -> {reward_of(new)}"
    for name, mine, other in (("A", before, after), ("B", after, before)):
        for flag in mine.flags.keys() - other.flags.keys():
            details = mine.flags[flag]
            yield f"{name}: {flag}" + (f", {details}" if details else "")


def _changes(name: str, changes: Sequence[Change]) -> Iterator[str]:
    if not changes:
        return
    yield ""
    yield f"{name}: {len(changes)} {'difference' if len(changes) == 1 else 'differences'}"
    for change in changes[:_CHANGES]:
        yield from _change(change)
    if len(changes) > _CHANGES:
        yield f"  and {len(changes) - _CHANGES:,} more"


def _change(change: Change) -> Iterator[str]:
    before, after = change.before, change.after
    if isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        yield f"  {change.path}"
        lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=1, lineterm="")
        yield from (f"    {line}" for line in list(lines)[2:])
        return
    shown = {
        "added": f"added, {_json(after)}",
        "removed": f"removed, it was {_json(before)}",
        "changed": f"{_json(before)} -> {_json(after)}",
    }
    yield f"  {change.path or 'all of it'}  {one_line(shown[change.kind], _WIDTH)}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _rows_of(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"
