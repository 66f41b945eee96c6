"""The report's single rows: the ends of the scale with their texts, the slowest, and a table to search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from graders_engine.dataset.results.digest import EXTREMES, FLAGGED, SAMPLED
from graders_engine.dataset.results.line import ResultLine
from graders_engine.report.formatting import place, reward_of
from graders_engine.report.html.markup import el, number, section, table
from graders_engine.report.numbers import Numbers
from graders_engine.report.row_texts import RowTexts
from graders_engine.report.visible import cut, one_line

WORST, BEST, SLOWEST = 10, 5, 10
"""Rows shown with their texts from either end, and rows in the list of the slowest."""
TEXT_CHARS = 1000
"""Characters shown of an item and of a sample."""
BEGIN_CHARS = 60
"""Characters shown of a sample in a table."""
PARTS, LISTED = 6, 12
"""Sub-rewards that have a column in the table, and that stand beside a row's texts."""


def rows_sections(numbers: Numbers, texts: RowTexts) -> Iterator[Element]:
    """The sections on single rows."""
    digest = numbers.digest
    if digest.tally.scored:
        why_none = f"Texts are not shown. {texts.why_none}"
        yield section(
            "ends",
            "Lowest and highest",
            el("p", why_none, class_="note") if texts.why_none else None,
            el("h3", "Lowest rewards"),
            *(
                _card(row, texts, opened=not at)
                for at, row in enumerate(digest.worst.rows()[:WORST])
            ),
            el("h3", "Highest rewards"),
            *(_card(row, texts, opened=False) for row in digest.best.rows()[:BEST]),
        )
    if digest.tally.rows:
        yield _slowest(digest.slowest.rows()[:SLOWEST], texts)
        yield _all(numbers, texts)


def _card(result: ResultLine, texts: RowTexts, *, opened: bool) -> Element:
    item, sample = texts.of(result)
    parts = [
        el("li", el("span", f"{one_line(key, 40)} ", class_="quiet"), reward_of(value))
        for key, value in list(result.sub_rewards.items())[:LISTED]
    ]
    if len(result.sub_rewards) > LISTED:
        parts.append(el("li", f"and {len(result.sub_rewards) - LISTED} more", class_="quiet"))
    flags = [
        el("p", el("code", flag), f" {one_line(details, 300)}", class_="flag")
        for flag, details in result.flags.items()
    ]
    return el(
        "details",
        el(
            "summary",
            el("span", f"line {place(result)}"),
            el("b", reward_of(result.reward), class_="number"),
            el("span", one_line(sample, 120), class_="begin"),
        ),
        el(
            "div",
            el("ul", *parts) if parts else None,
            *flags,
            el("div", _text("Item", item), _text("Sample", sample), class_="texts")
            if item or sample
            else None,
            class_="inside",
        ),
        **({"open": ""} if opened else {}),
    )


def _text(name: str, text: str) -> Element:
    shown, left_out = cut(text, TEXT_CHARS)
    return el(
        "figure",
        el("figcaption", name + (", cut" if left_out else "")),
        el("pre", shown + ("…" if left_out else ""), tabindex=0, aria_label=name, dir="auto"),
    )


def _slowest(results: Sequence[ResultLine], texts: RowTexts) -> Element:
    rows = [
        el(
            "tr",
            el("th", place(result), scope="row", class_="number"),
            number(f"{1000 * result.seconds:.3f}"),
            number(reward_of(result.reward)),
            el("td", result.status),
            _begin(result, texts),
        )
        for result in results
    ]
    columns = ("Line#", "ms#", "Reward#", "Status", "Sample")
    return section(
        "slowest", "Slowest", table("Wall time of grading, the longest first", columns, rows)
    )


def _all(numbers: Numbers, texts: RowTexts) -> Element:
    keys = list(numbers.digest.sub_rewards)[:PARTS]
    parts = [f"{one_line(key, 24)}#" for key in keys]
    columns = ["Line#", "Status", "Reward#", *parts, "ms#", "Flags", "Sample"]
    kept, rows = numbers.digest.kept(), numbers.digest.tally.rows
    shown = len(kept)
    which = (
        f"All {rows:,} rows."
        if shown == rows
        else f"{shown:,} of {rows:,} rows: the {EXTREMES} with the lowest and the highest rewards, "
        f"the {EXTREMES} slowest, the first {FLAGGED} of each flag, and {SAMPLED} drawn from all."
    )
    return section(
        "table",
        "Rows",
        _controls(),
        table(which, columns, (_row(row, keys, texts) for row in kept), kind="tall", name="rows"),
        el("p", "On paper the table ends after 40 rows.", class_="note paper")
        if shown > 40
        else None,
    )


def _row(result: ResultLine, keys: Sequence[str], texts: RowTexts) -> Element:
    return el(
        "tr",
        el("th", place(result), scope="row", class_="number"),
        el("td", result.status),
        number(reward_of(result.reward)),
        *(number(reward_of(result.sub_rewards.get(key))) for key in keys),
        number(f"{1000 * result.seconds:.3f}"),
        el("td", ", ".join(flag.removesuffix("_error") for flag in result.flags)),
        _begin(result, texts),
        data_status=result.status,
    )


def _begin(result: ResultLine, texts: RowTexts) -> Element:
    return el("td", one_line(texts.of(result)[1], BEGIN_CHARS), class_="begin")


def _controls() -> Element:
    statuses = [el("option", "any", value="")]
    statuses += [el("option", status, value=status) for status in ("scored", "invalid", "failed")]
    return el(
        "div",
        el("label", "Rows with all of these words", el("input", type="search")),
        el("label", "Status", el("select", *statuses)),
        el("output", class_="note"),
        class_="controls",
        hidden="",
    )
