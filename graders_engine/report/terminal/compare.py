"""A comparison of two runs, as text for a terminal."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graders_engine.dataset.results.changes import Change
from graders_engine.dataset.results.compare import Comparison, PartChange, RowChange, RunFacts
from graders_engine.dataset.results.pairing import LINE
from graders_engine.dataset.rows.identity import ITEM
from graders_engine.outcome import details_line
from graders_engine.report.compared import (
    in_samples,
    p_value,
    prompts_sentence,
    row_names,
    row_pairs_note,
    side_warnings,
    standing,
    verdict,
    what_is_paired,
)
from graders_engine.report.formatting import (
    format_correlation,
    format_interval,
    format_mean,
    format_number,
    format_reward,
    format_rows,
    rows_name,
)
from graders_engine.report.terminal.screen import FILE, Heading, Screen
from graders_engine.report.visible import one_line
from graders_engine.report.width import columns_of, padded, short_names
from graders_engine.statistics.estimate import Estimate
from graders_engine.statistics.paired import Paired

_MAX_CHANGES = 20
"""Changes of the grader, and of the settings, that are printed."""
_MARGIN = " " * 11
_MAX_NAME = 4096
"""Characters of a file's or a sub-reward's name that are looked at."""


def comparison_text(comparison: Comparison, screen: Screen = FILE) -> str:
    """Both means, what moved between statuses, the difference and its interval, and the rows that changed.

    Args:
        comparison: the comparison.
        screen: what it is printed on; by default, a file.
    """
    columns, grouped = screen.columns, in_samples(comparison)
    unit = rows_name(grouped=grouped)
    note = row_pairs_note(comparison)
    note = note and f", {note}"
    return screen.text(
        (
            *_sides(comparison, grouped=grouped),
            *_pairs(comparison, unit),
            *_moved(comparison, unit),
            *_difference(comparison),
            *_scored(comparison, grouped=grouped),
            *_sub_rewards(comparison, columns, unit),
            *_changed_rows(f"changed most{note}", comparison.changed_most, columns),
            *_changed_rows(
                f"status changed, the first {unit}{note}", comparison.status_changes, columns
            ),
            *_changes("grader", comparison.grader_changes, columns),
            *_changes("settings", comparison.setting_changes, columns),
        )
    )


def _sides(comparison: Comparison, *, grouped: bool) -> Iterator[str]:
    for letter, side in (("A", comparison.before), ("B", comparison.after)):
        yield f"{letter}  {one_line(side.name, _MAX_NAME)}"
        yield from (f"   {sentence}" for sentence in side_warnings(side, grouped=grouped))
        yield f"   {_mean(side.mean, grouped=grouped)}"
        yield from _other_means(side, grouped=grouped)
        yield f"   {_counts(side)}"


def _mean(mean: Estimate | None, *, grouped: bool) -> str:
    if mean is None:
        return "no mean: no row is scored, or invalid by its sample or the grader"
    return (
        f"mean reward {format_mean(mean.value)} over {format_rows(mean.rows, grouped=grouped)}, "
        f"95 % interval {format_interval(mean)}"
    )


def _other_means(side: RunFacts, *, grouped: bool) -> Iterator[str]:
    """The mean of the scored rows alone and that of all, as the hosted service has it, if others count."""
    counted = side.mean.rows if side.mean else 0
    scored, hosted = side.scored_mean, side.hosted_mean
    if scored and scored.rows < counted:
        rows = format_rows(scored.rows, grouped=grouped)
        yield f"     scored     {format_mean(scored.value)} over {rows}"
    if hosted and hosted.rows > counted:
        rows = format_rows(hosted.rows, grouped=grouped)
        yield f"     as hosted  {format_mean(hosted.value)} over {rows}: all but the failed"


def _counts(side: RunFacts) -> str:
    counts = []
    for status, count in side.statuses.items():
        if status == "invalid":
            blamed = {
                blame: rows for blame, rows in side.blames.items() if blame != "infrastructure"
            }
            counts += [f"{rows:,} invalid by {blame}" for blame, rows in blamed.items()]
        elif count:
            counts.append(f"{count:,} {status}")
    return ", ".join(counts) or "no rows"


def _pairs(comparison: Comparison, unit: str) -> Iterator[str]:
    """How the rows were paired, if that is not plain: all lines of one data set."""
    pairs, before, after = comparison.pairs, comparison.before, comparison.after
    prompts = prompts_sentence(comparison)
    if pairs.by == LINE and not (
        pairs.only_before or pairs.only_after or pairs.unchecked or prompts
    ):
        return
    ways = {LINE: "line", ITEM: "equal item"}
    yield ""
    yield (
        f"paired by {ways.get(pairs.by, one_line(pairs.by, 60))}: "
        f"{before.rows - pairs.only_before:,} of {before.rows:,} {unit} of A are in B, "
        f"{after.rows - pairs.only_after:,} of {after.rows:,} of B are in A"
    )
    if prompts:
        yield prompts
    if pairs.other_items:
        yield f"the items of {pairs.other_items:,} of these pairs differ"
    if pairs.unchecked:
        yield f"paired by line number without a check that the {unit} are the same: {pairs.unchecked}"


def _moved(comparison: Comparison, unit: str) -> Iterator[str]:
    if comparison.moved:
        yield ""
        yield Heading(f"changes of status, {unit}")
        yield from _counted(comparison.moved)


def _counted(rows: Mapping[str, int]) -> Iterator[str]:
    width = max(len(f"{count:,}") for count in rows.values())
    for name, count in rows.items():
        yield f"  {count:>{width},}  {name}"


def _difference(comparison: Comparison) -> Iterator[str]:
    pair = comparison.difference
    yield ""
    if pair is None:
        yield "no difference to show: no row counts in both means"
        return
    yield _first_line("difference", pair, comparison)
    if not (pair.wins or pair.losses):
        return
    difference = pair.difference
    grouped = "" if difference.groups == difference.rows else f" in {difference.groups:,} groups"
    rows = f"{what_is_paired(comparison, difference.rows)}{grouped}"
    yield f"{_MARGIN} over {rows} that count in both means: B is {verdict(pair)}"
    means = (comparison.before.mean, comparison.after.mean)
    if any(mean is not None and mean.rows != difference.rows for mean in means):
        over_both = (format_mean(mean.value) for mean in (pair.before, pair.after))
        yield f"{_MARGIN} there, A has a mean of {' and B of '.join(over_both)}"
    if not pair.computed:
        return
    yield f"{_MARGIN} {p_value(pair)}"
    yield f"{_MARGIN} B higher on {pair.wins:,}, the same on {pair.ties:,}, lower on {pair.losses:,}"
    spearman, kendall = format_correlation(pair.spearman), format_correlation(pair.kendall)
    yield f"{_MARGIN} rank correlation {spearman} (Spearman), {kendall} (Kendall)"
    unit = "prompts" if comparison.pairs.prompts else rows_name(grouped=in_samples(comparison))
    if difference.low is None:
        yield f"{_MARGIN} {_why_no_interval(comparison, difference)}"
    elif pair.detectable is None:
        yield f"{_MARGIN} so few {unit} have no 80 % chance to detect even the largest difference"
    else:
        smallest = format_number(pair.detectable)
        yield f"{_MARGIN} such {unit} have an 80 % chance to detect a true difference of {smallest}"


def _why_no_interval(comparison: Comparison, difference: Estimate) -> str:
    if difference.groups == 1:
        return "a single prompt gives no interval"
    each = "row" if difference.groups == difference.rows else "prompt"
    each = "prompt" if comparison.pairs.prompts else each
    return f"every {each} changed by the same amount: without a spread there is no interval"


def _scored(comparison: Comparison, *, grouped: bool) -> Iterator[str]:
    """The rows scored in both alone, if others count; and the rows that count in one run only."""
    pair, every = comparison.scored, comparison.difference
    if every is not None and (pair is None or pair.difference.rows != every.difference.rows):
        yield ""
        if pair is None:
            yield "no row is scored in both"
        else:
            yield _first_line("scored", pair, comparison)
            yield f"{_MARGIN} over {what_is_paired(comparison, pair.difference.rows)} scored in both"
            if pair.wins or pair.losses:
                yield f"{_MARGIN} {p_value(pair)}"
    if comparison.left_out:
        yield ""
        yield Heading(f"{rows_name(grouped=grouped)} left out of the difference")
        yield from _counted(comparison.left_out)


def _first_line(name: str, pair: Paired, comparison: Comparison) -> str:
    difference = pair.difference
    if not (pair.wins or pair.losses):
        return (
            f"{name:<11} none: the same reward on all {what_is_paired(comparison, difference.rows)}"
        )
    return f"{name:<11} {difference.value:+z.4f}  95 % interval {format_interval(difference)}"


def _sub_rewards(comparison: Comparison, columns: int, unit: str) -> Iterator[str]:
    if not comparison.sub_rewards:
        return
    yield ""
    yield Heading(f"sub-rewards, mean ({unit}) in A and B, difference, 95 % interval")
    prompts = comparison.pairs.prompts is not None
    differ = prompts or any(map(_counts_differ, comparison.sub_rewards.values()))
    if differ:
        pairs = "prompts" if prompts else unit
        yield f"  the difference is over the {pairs} that count in both runs, not of the two means"
    keys = [one_line(key, _MAX_NAME) for key in comparison.sub_rewards]
    names = dict(zip(comparison.sub_rewards, short_names(keys, columns // 3), strict=True))
    width = max(map(columns_of, names.values()))
    cells = {
        key: (
            _part(part.before),
            _part(part.after),
            _part_difference(part.difference, counted=differ),
        )
        for key, part in comparison.sub_rewards.items()
    }
    widths = [max(len(cell[place]) for cell in cells.values()) for place in range(2)]
    for key, (before, after, change) in cells.items():
        yield f"  {padded(names[key], width)}  {before:<{widths[0]}}  {after:<{widths[1]}}  {change}"


def _part(mean: Estimate | None) -> str:
    return "-" if mean is None else f"{format_mean(mean.value)} ({mean.rows:,})"


def _counts_differ(part: PartChange) -> bool:
    """Whether one of the means is over other rows than the difference."""
    counts = {mean.rows for mean in (part.before, part.after, part.difference) if mean is not None}
    return part.difference is not None and len(counts) > 1


def _part_difference(difference: Estimate | None, *, counted: bool) -> str:
    if difference is None:
        return "-"
    rows = f" ({difference.rows:,})" if counted else ""
    if difference.low is None and not difference.value:
        return f"the same{rows}"
    return f"{difference.value:+z.4f}{rows}  {format_interval(difference)}"


def _changed_rows(title: str, rows: Sequence[RowChange], columns: int) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield Heading(title)
    names = [row_names(row) for row in rows]
    changes = [f"{standing(row.before)} -> {standing(row.after)}" for row in rows]
    width, second = max(map(len, names)), max(map(len, changes))
    for name, change, row in zip(names, changes, rows, strict=True):
        start = f"  line {name:<{width}}  {change:<{second}}"
        details = "; ".join(_details(row))
        room = columns - len(start) - 2
        if not details or room >= min(len(details), 24):
            yield f"{start}  {one_line(details, max(room, 1))}".rstrip()
        else:
            yield start.rstrip()
            yield f"    {one_line(details, columns - 4)}"


def _details(row: RowChange) -> Iterator[str]:
    """What changed within a row: the flags that only one of the two runs has, and its sub-rewards."""
    before, after = row.before, row.after
    for name, flags, others in (("A", before.flags, after.flags), ("B", after.flags, before.flags)):
        for flag, details in flags.items():
            if flag not in others:
                yield f"{name}: {flag}" + (f", {details_line(details)}" if details else "")
    for key in dict.fromkeys((*before.sub_rewards, *after.sub_rewards)):
        old, new = before.sub_rewards.get(key), after.sub_rewards.get(key)
        if old != new:
            yield f"{key} {format_reward(old)} -> {format_reward(new)}"


def _changes(name: str, changes: Sequence[Change], columns: int) -> Iterator[str]:
    if not changes:
        return
    yield ""
    count = f"{len(changes)} {'difference' if len(changes) == 1 else 'differences'}"
    yield Heading(f"{name}: {count}")
    for change in changes[:_MAX_CHANGES]:
        yield from _change(change, columns)
    if len(changes) > _MAX_CHANGES:
        yield f"  and {len(changes) - _MAX_CHANGES:,} more"


def _change(change: Change, columns: int) -> Iterator[str]:
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
    start = f"  {change.path or 'the whole value'}  "
    yield start + one_line(texts[change.kind], max(columns - len(start), columns // 2))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
