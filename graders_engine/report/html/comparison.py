"""A comparison of two runs as one HTML file that needs no other file and no network."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path

from graders_engine.dataset.results.changes import Change
from graders_engine.dataset.results.compare import Comparison, RowChange
from graders_engine.dataset.results.pairing import LINE
from graders_engine.dataset.rows.identity import ITEM
from graders_engine.outcome import details_line
from graders_engine.report import formatting
from graders_engine.report.compared import (
    in_samples,
    p_value,
    prompts_sentence,
    row_names,
    row_pairs_note,
    side_warnings,
    standing,
    value_text,
    verdict,
    what_is_paired,
)
from graders_engine.report.html.marked import Marked, marked
from graders_engine.report.html.rendering import environment, policy_hash, style_of
from graders_engine.report.provenance import Provenance
from graders_engine.report.row_texts import RowTexts
from graders_engine.report.visible import cut, one_line, visible
from graders_engine.statistics.paired import Paired
from graders_engine.version import __version__

ITEM_CHARS = 4_000
"""Characters of an item."""
SUMMARY_CHARS = 120
"""Characters of a text in the line of a row that is closed."""
LISTED = 24
"""Sub-rewards that are listed with a row."""
_SECTION = re.compile(r'(?s)<section id="([\w-]+)".*?>\n(.*?)</section>')
_HEADING = re.compile("<h2 [^>]*>(.*?)</h2>")
_FILTERS = (
    formatting.format_correlation,
    formatting.format_count,
    formatting.format_interval,
    formatting.format_mean,
    formatting.format_number,
    formatting.format_rows,
    one_line,
)


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A row whose results differ, with its texts.

    Attributes:
        name: its line and sample; both if B has another line.
        before: its reward in A, or its status.
        after: the same in B.
        excerpt: the start of B's text, on one line.
        sub_rewards: (key, reward in A, reward in B, whether they differ), at most `LISTED`.
        flags: ("A" or "B", flag, details).
        item: the start of the item.
        item_after: that of B's item, if it is another one.
        texts: A's text and B's with their difference marked; None if neither is known.
    """

    name: str
    before: str
    after: str
    excerpt: str
    sub_rewards: list[tuple[str, str, str, bool]]
    flags: list[tuple[str, str, str]]
    item: str
    item_after: str
    texts: tuple[Marked, Marked] | None


@dataclass(frozen=True, slots=True)
class ChangedValue:
    """A value of the graders or the settings that differs.

    Attributes:
        path: where it is.
        texts: the old and the new one with their difference marked; empty where there is none.
    """

    path: str
    texts: tuple[Marked, Marked]


def comparison_page(
    comparison: Comparison, texts: tuple[RowTexts, RowTexts], origins: Sequence[Provenance] = ()
) -> str:
    """The whole page, as text to be encoded as UTF-8; it loads nothing and runs nothing.

    Args:
        comparison: the comparison.
        texts: the texts of the rows that changed, in the first run and in the second.
        origins: of both runs; the folders of their files are left out of the page.
    """
    made = environment(_FILTERS)
    style = style_of(made, "comparison.css")
    ways = {LINE: "line of one data set", ITEM: "equal item"}
    names = _short_names(comparison)
    grouped = in_samples(comparison)
    unit = formatting.rows_name(grouped=grouped)
    page = made.get_template("comparison.html.jinja").render(
        comparison=comparison,
        grouped=grouped,
        unit=unit,
        names=names,
        sides=[("A", names[0], comparison.before), ("B", names[1], comparison.after)],
        paired_by=ways.get(comparison.pairs.by, comparison.pairs.by),
        differences=_differences(comparison),
        side_warnings=side_warnings,
        prompts=prompts_sentence(comparison),
        row_pairs=row_pairs_note(comparison),
        what_is_paired=what_is_paired,
        verdict=verdict,
        p_value=p_value,
        lists=[
            (heading, id_, [_changed_row(row, texts) for row in rows])
            for heading, id_, rows in (
                ("Rewards that changed most", "changed-most", comparison.changed_most),
                (
                    f"{unit.capitalize()} whose status changed",
                    "status-changed",
                    comparison.status_changes,
                ),
            )
            if rows
        ],
        values=[
            (heading, id_, [_changed_value(change) for change in changes])
            for heading, id_, changes in (
                ("Grader", "grader", comparison.grader_changes),
                ("Settings", "settings", comparison.setting_changes),
            )
            if changes
        ],
        unchecked=_without_folders(comparison.pairs.unchecked, origins),
        why_no_texts=list(
            dict.fromkeys(
                _without_folders(side.why_none, origins) for side in texts if side.why_none
            )
        ),
        version=__version__,
        style=style,
        style_hash=policy_hash(style),
    )
    # Jinja has escaped markup; this does the same for characters that hide or change the reading direction.
    return visible(page)


def comparison_sections(
    comparison: Comparison, origins: Sequence[Provenance] = ()
) -> Iterator[tuple[str, str, str]]:
    """(id, heading, HTML below it) of the page's sections without those that list rows.

    Args:
        comparison: the comparison.
        origins: as for `comparison_page`.
    """
    numbers_only = replace(comparison, changed_most=(), status_changes=())
    page = comparison_page(numbers_only, (RowTexts(), RowTexts()), origins)
    for id_, html in _SECTION.findall(page):  # texts are escaped: no other markup is there
        heading = _HEADING.search(html)
        yield id_, unescape(heading[1]) if heading else id_, _HEADING.sub("", html, 1)


def _short_names(comparison: Comparison) -> tuple[str, str]:
    """The names of the two files, without their folders where that leaves them different."""
    before, after = comparison.before.name, comparison.after.name
    short = Path(before).name, Path(after).name
    if short[0] != short[1] or before == after:
        return short
    shared = os.path.commonpath([Path(name).absolute() for name in (before, after)])
    before, after = (os.path.relpath(name, shared) for name in (before, after))
    return before, after


def _without_folders(sentence: str, origins: Sequence[Provenance]) -> str:
    for origin in origins:
        sentence = origin.without_folders(sentence)
    return sentence


def _differences(comparison: Comparison) -> Iterator[tuple[str, Paired]]:
    """The difference of the means, and of the scored rows alone if others count: what it is over, and it."""
    every, scored = comparison.difference, comparison.scored
    if every is not None:
        yield "count in both means", every
    if scored is not None and (every is None or scored.difference.rows != every.difference.rows):
        yield "are scored in both", scored


def _changed_row(row: RowChange, texts: tuple[RowTexts, RowTexts]) -> ChangedRow:
    (item, before), (item_after, after) = (
        tuple(side.of(result)[:2])
        for side, result in zip(texts, (row.before, row.after), strict=True)
    )
    keys = list(dict.fromkeys((*row.before.sub_rewards, *row.after.sub_rewards)))[:LISTED]
    parts = [(row.before.sub_rewards.get(key), row.after.sub_rewards.get(key)) for key in keys]
    return ChangedRow(
        name=row_names(row),
        before=standing(row.before),
        after=standing(row.after),
        excerpt=one_line(after or before, SUMMARY_CHARS),
        sub_rewards=[
            (
                one_line(key, 60),
                formatting.format_reward(old),
                formatting.format_reward(new),
                old != new,
            )
            for key, (old, new) in zip(keys, parts, strict=True)
        ],
        flags=[
            (side, flag, cut(details_line(details), 600)[0])
            for side, result in (("A", row.before), ("B", row.after))
            for flag, details in result.flags.items()
        ],
        item=cut(item or item_after, ITEM_CHARS)[0],
        item_after=cut(item_after, ITEM_CHARS)[0]
        if item and item_after and item != item_after
        else "",
        texts=marked(before, after) if before or after else None,
    )


def _changed_value(change: Change) -> ChangedValue:
    file = change.path.rpartition(".")[2] == "path"
    before, after = (
        "" if absent else Path(value).name if file and isinstance(value, str) else value_text(value)
        for value, absent in (
            (change.before, change.kind == "added"),
            (change.after, change.kind == "removed"),
        )
    )
    return ChangedValue(change.path or "the whole value", marked(before, after))
