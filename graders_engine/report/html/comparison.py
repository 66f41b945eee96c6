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
from graders_engine.report.html.rendering import (
    SHARED_MODULES,
    environment,
    policy_hash,
    script_of,
    source_of,
    style_of,
    with_rows,
)
from graders_engine.report.html.row_data import rows_json
from graders_engine.report.provenance import Provenance
from graders_engine.report.row_texts import RowTexts
from graders_engine.report.visible import one_line, visible
from graders_engine.statistics.paired import Paired
from graders_engine.version import __version__

SUMMARY_CHARS = 120
"""Characters of a text in the line of a row that is closed."""
_MODULES = (*SHARED_MODULES, "pair.js", "recorded.js", "comparison-rows.js")
"""The modules of the page's script, each after those that it imports."""
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
    """A row whose results differ, as it is listed.

    Attributes:
        key: its name in A.
        name: its line and sample; both if B has another line.
        before: its reward in A, or its status.
        after: the same in B.
        excerpt: the start of B's text, on one line.
    """

    key: str
    name: str
    before: str
    after: str
    excerpt: str


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
    """The whole page, as text to be encoded as UTF-8; it loads nothing, as `report_page` says.

    Args:
        comparison: the comparison.
        texts: the texts of the rows that changed, in the first run and in the second.
        origins: of both runs; the folders of their files are left out of the page.
    """
    made = environment(_FILTERS)
    style = style_of(made, "rows.css", "comparison.css")
    changed = {
        (row.before.name, row.after.name): row
        for row in (*comparison.changed_most, *comparison.status_changes)
    }
    script = script_of({name: source_of(made, name) for name in _MODULES}) if changed else ""
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
        script=script,
        script_hash=policy_hash(script),
    )
    # Jinja has escaped markup; this does the same for characters that hide or change the reading direction.
    return with_rows(visible(page), _pairs_json(list(changed.values()), texts, origins))


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
    before, after = texts[0].of(row.before).sample, texts[1].of(row.after).sample
    return ChangedRow(
        key=row.before.name,
        name=row_names(row),
        before=standing(row.before),
        after=standing(row.after),
        excerpt=one_line(after or before, SUMMARY_CHARS),
    )


def _pairs_json(
    rows: Sequence[RowChange], texts: tuple[RowTexts, RowTexts], origins: Sequence[Provenance]
) -> str:
    """The rows of both runs as JSON for the page's script."""
    graders = [origin.grader for origin in origins] or [{}, {}]
    sides = [[row.before for row in rows], [row.after for row in rows]]
    first, second = (
        rows_json(results, side, grader, _without_folders(side.why_none, origins))
        for results, side, grader in zip(sides, texts, graders, strict=True)
    )
    return f'{{"a":{first},"b":{second}}}'


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
