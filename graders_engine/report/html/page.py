"""A run's report as one HTML file that needs no other file and no network."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from graders_engine.outcome import SERVED
from graders_engine.report import formatting
from graders_engine.report.html import charts, eval_run
from graders_engine.report.html.cards import KINDS, cards, kind_label, slowest
from graders_engine.report.html.rendering import (
    SHARED_MODULES,
    environment,
    policy_hash,
    script_of,
    source_of,
    style_of,
    with_rows,
)
from graders_engine.report.html.row_data import row_data
from graders_engine.report.numbers import Numbers
from graders_engine.report.provenance import UNFINISHED, Provenance
from graders_engine.report.row_texts import BUDGET_BYTES, RowTexts
from graders_engine.report.visible import shorten, start_of, visible

MAX_GRADER_CHARS = 20_000
"""Characters of the grader's JSON on the page."""
PRINTED_ROWS = 40
"""Rows of the table that are printed on paper; `page.css` has the same number."""
_FILTERS: tuple[Callable[..., Any], ...] = (
    formatting.format_correlation,
    formatting.flag_reason,
    formatting.format_cost,
    formatting.format_count,
    formatting.format_interval,
    formatting.format_mean,
    formatting.format_number,
    formatting.format_percent,
    formatting.format_prompts,
    formatting.format_range,
    formatting.format_reward,
    formatting.format_rows,
    formatting.format_seconds,
    formatting.format_share,
    shorten,
    start_of,
)
"""The functions that the templates use as filters, under the same names."""
MODULES = (*SHARED_MODULES, "table.js", "recorded.js", "report-rows.js")
"""The modules of the page's script, each after those that it imports."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page.

    Attributes:
        id: its id in links; its template is `sections/ID.html.jinja`.
        heading: its heading, also in the navigation.
    """

    id: str
    heading: str


def report_page(
    numbers: Numbers,
    provenance: Provenance,
    texts: RowTexts,
    run: eval_run.RunSummary | None = None,
    *,
    embed_bytes: int = BUDGET_BYTES,
) -> str:
    """The whole page, as text to be encoded as UTF-8.

    It loads nothing: its content security policy allows only the script and the style that it contains, which
    the policy identifies by their hashes.

    Args:
        numbers: the run in numbers.
        provenance: what produced the numbers.
        texts: the texts of the rows that are shown.
        run: the run of an eval that the results are of; the page begins with it.
        embed_bytes: how many bytes the rows may take that the page lists and opens.
    """
    made = environment((*_FILTERS, *eval_run.FILTERS))
    style = style_of(made, "rows.css", *(() if run is None else (eval_run.STYLE,)))
    script = script_of({name: source_of(made, name) for name in MODULES})
    why_no_texts = provenance.without_folders(texts.why_none)
    viewed = f"graders view {shlex.quote(provenance.results.name)}" if run is None else ""
    rows = row_data(
        numbers.digest,
        texts,
        provenance.grader,
        why_no_texts,
        viewed=viewed,
        budget_bytes=embed_bytes,
    )
    template = "page.html.jinja" if run is None else "eval-run.html.jinja"
    page = made.get_template(template).render(
        **_values(numbers, provenance, texts, run),
        engine=provenance.engine,
        row_data=rows if numbers.digest.tally.rows else None,
        viewed=viewed,
        style=style,
        style_hash=policy_hash(style),
        script=script,
        script_hash=policy_hash(script),
    )
    # Jinja has escaped markup; this does the same for characters that hide or change the reading direction.
    return with_rows(visible(page), rows.json)


def _warnings(provenance: Provenance, run: eval_run.RunSummary | None) -> Iterator[str]:
    """What must be known before the numbers are read; a run of an eval says itself how far it came."""
    for warning in provenance.warnings:
        if run is None or warning != UNFINISHED:
            yield warning


def report_sections(
    numbers: Numbers, provenance: Provenance, texts: RowTexts
) -> Iterator[tuple[Section, str]]:
    """The sections of the page as HTML, each by itself; not the table of rows, which needs the script.

    Args:
        numbers: the run in numbers.
        provenance: what produced the numbers.
        texts: the texts of the rows that are shown.
    """
    made = environment(_FILTERS)
    values = _values(numbers, provenance, texts)
    for section in (Section("overview", "Overview"), *values["sections"]):
        if section.id != "table":
            template = made.get_template(f"sections/{section.id}.html.jinja")
            yield section, visible(template.render(values))


def _values(
    numbers: Numbers,
    provenance: Provenance,
    texts: RowTexts,
    run: eval_run.RunSummary | None = None,
) -> dict[str, Any]:
    """What the templates of the sections read."""
    tally = numbers.digest.tally
    grouped = tally.grouped
    return {
        "run": run,
        "numbers": numbers,
        "grouped": grouped,
        "unit": formatting.rows_name(grouped=grouped),
        "tally": tally,
        "provenance": provenance,
        "grader_json": _grader_json(provenance.grader),
        "sections": list(_sections(numbers)),
        "statuses": formatting.STATUS_MEANINGS,
        "kind_choices": list(_kind_choices()),
        "blames": formatting.BLAME_MEANINGS,
        "warnings": [
            *map(provenance.without_folders, _warnings(provenance, run)),
            *([] if grouped or run is not None else texts.hints),
        ],
        "much_blamed": [
            *formatting.much_blamed_in(tally),
            *formatting.clamped_numbers(tally),
        ],
        "reasons": list(formatting.row_reasons(tally)),
        "parts_left_out": list(formatting.parts_left_out(tally)),
        "uncounted": {
            "failed" if blame == "infrastructure" else blame: count
            for blame, count in tally.blames.items()
            if blame not in SERVED
        },
        "printed": PRINTED_ROWS,
        "charts": charts,
        "cards": list(cards(numbers.digest, texts)),
        "why_no_texts": provenance.without_folders(texts.why_none),
        "slowest": slowest(numbers.digest, texts),
    }


def _sections(numbers: Numbers) -> Iterator[Section]:
    """The sections that are not empty, in the order of the page."""
    tally = numbers.digest.tally
    rows = formatting.rows_name(grouped=tally.grouped).capitalize()
    for id_, heading, shown_if in (
        ("rewards", "Rewards", numbers.histogram),
        ("sub-rewards", "Sub-rewards", numbers.sub_rewards),
        ("flags", "Flags", tally.flags),
        ("prompts", "Prompts", numbers.groups),
        (
            "judges",
            "Judges",
            numbers.spending or numbers.repeated or numbers.digest.saved_tokens or tally.left_out,
        ),
        ("cards", f"{rows} to read first", tally.rows),
        ("table", rows, tally.rows),
        ("slowest", "Slowest", numbers.digest.is_slow),
        ("origin", "Origin", True),
    ):
        if shown_if:
            yield Section(id_, heading)


def _kind_choices() -> Iterator[tuple[str, str]]:
    """The choices of the filter by status: (value, label)."""
    for kind in KINDS:
        yield kind, kind_label(kind)
        if kind == "scored":
            yield "invalid", "invalid"


def _grader_json(grader: dict[str, Any]) -> str:
    """The grader's JSON, cut if it is very long; empty if the grader is not known."""
    text = json.dumps(grader, indent=2, ensure_ascii=False) if grader else ""
    return text if len(text) <= MAX_GRADER_CHARS else text[:MAX_GRADER_CHARS] + "\n…"
