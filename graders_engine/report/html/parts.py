"""The report's sections between the rewards and the single rows: parts, flags, prompts, judges, origin."""

from __future__ import annotations

import json
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from graders_engine.dataset.results.tally import Tally
from graders_engine.report.formatting import (
    correlation,
    interval,
    money,
    percent,
    share_of,
    written,
)
from graders_engine.report.html import charts
from graders_engine.report.html.markup import el, number, section, table
from graders_engine.report.numbers import Groups, Numbers
from graders_engine.report.provenance import Provenance
from graders_engine.report.visible import one_line
from graders_engine.statistics.estimate import Estimate

MAX_GRADER_CHARS = 20_000
"""Of the grader's JSON, as much is shown."""


def sub_rewards(numbers: Numbers) -> Element:
    """The parts of a multi, and how they go together."""
    rows = [
        el(
            "tr",
            el("th", one_line(part.key, 40), scope="row"),
            number(f"{part.mean.value:.4f}"),
            number(interval(part.mean)),
            number(written(part.low)),
            number(written(part.high)),
            el("td", charts.sparkline(part.histogram, one_line(part.key, 40))),
        )
        for part in numbers.sub_rewards
    ]
    left_out = len(numbers.digest.sub_rewards) - len(numbers.sub_rewards)
    return section(
        "sub-rewards",
        "Sub-rewards",
        table(
            "Sub-rewards of the scored rows, with 95 % intervals of their means",
            ["Part", "Mean#", "Interval#", "Lowest#", "Highest#", "Spread"],
            rows,
        ),
        el("p", f"{left_out} more parts are not shown.", class_="note") if left_out > 0 else None,
        *_correlations(numbers),
    )


def _correlations(numbers: Numbers) -> Iterator[Element]:
    if not numbers.correlations:
        return
    names = [one_line(key, 24) for key, _ in numbers.correlations]
    head = el("tr", el("td"), *(el("th", name, scope="col") for name in names))
    rows = [
        el("tr", el("th", name, scope="row"), *map(_shade, row))
        for name, (_, row) in zip(names, numbers.correlations, strict=True)
    ]
    yield el("h3", "How they go together")
    yield el(
        "div",
        el(
            "table",
            el("caption", "Pearson correlation"),
            el("thead", head),
            el("tbody", *rows),
            class_="matrix",
        ),
        class_="scroll", tabindex=0, role="region", aria_label="Correlations",
    )  # fmt: skip


def _shade(value: float | None) -> Element:
    if value is None:
        return el("td", correlation(value))
    depth = min(int(abs(value) * 5), 4)
    return el("td", correlation(value), class_=f"{'n' if value < 0 else 'p'}{depth}")


def failures(tally: Tally) -> Element:
    """The flags, and why rows have no reward."""
    rows = [
        el(
            "tr",
            el("th", el("code", flag), scope="row"),
            number(f"{count:,}"),
            number(share_of(count, tally.rows)),
            number(f"{tally.examples[flag][0]:,}"),
            el(
                "td",
                el("span", one_line(tally.examples[flag][1], 400) or "-", class_="flag"),
                class_="text",
            ),
        )
        for flag, count in sorted(tally.flags.items(), key=lambda pair: -pair[1])
    ]
    return section(
        "flags",
        "Flags",
        el(
            "p",
            f"{tally.invalid:,} rows are invalid and {tally.failed:,} failed; neither are in the means. "
            "A sample's own flags take no reward away.",
        ),
        table(
            "Flags that are set", ["Flag", "Rows#", "Share#", "First line#", "Its details"], rows
        ),
    )


def prompts(groups: Groups) -> Element:
    """Several samples of a prompt."""
    rows = [
        el(
            "tr",
            el("th", str(at.k), scope="row", class_="number"),
            _estimate(at.passing),
            _estimate(at.best),
            number(f"{at.best.groups:,}"),
        )
        for at in groups.at
    ]
    fewest, most = groups.sizes
    each = f"{most}" if fewest == most else f"{fewest} to {most}"
    told = f"{groups.count:,} prompts with {each} scored samples each."
    if groups.unvarying:
        told += (
            f" In {percent(groups.unvarying.value)} of them all samples have the same reward: "
            "they give reinforcement learning nothing to learn from."
        )
    return section(
        "prompts",
        "Prompts",
        el("p", told),
        table(
            f"A reward of at least {written(groups.passing)} passes; 95 % intervals in parentheses",
            ["k#", "pass@k#", "Best of k, mean reward#", "Prompts#"],
            rows,
        ),
    )


def _estimate(estimate: Estimate) -> Element:
    return number(f"{estimate.value:.4f} ({interval(estimate)})")


def judges(numbers: Numbers) -> Element:
    """What judges took, and how far their answers lie apart."""
    models = [
        el(
            "tr",
            el("th", one_line(spent.model, 60), scope="row"),
            *(
                number(f"{count:,}")
                for count in (
                    spent.usage.prompt_tokens,
                    spent.usage.cached_tokens,
                    spent.usage.completion_tokens,
                    spent.usage.total_tokens,
                )
            ),
            number("-" if spent.cost is None else money(spent.cost)),
        )
        for spent in numbers.spending
    ]
    repeats = [
        el(
            "tr",
            el("th", one_line(key, 40) or "the grader", scope="row"),
            number(f"{repeat.rows:,}"),
            number(f"{repeat.answers / repeat.rows:.1f}"),
            number(share_of(repeat.differing, repeat.rows)),
            number(f"{repeat.deviation_sum / repeat.rows:.4f}"),
            number(
                f"{written(repeat.widest)} (line {repeat.widest_line:,})" if repeat.widest else "0"
            ),
        )
        for key, repeat in numbers.digest.repeats.items()
        if repeat.rows
    ]
    columns = ["Model", "Prompt#", "of them cached#", "Completion#", "Total#", "Cost#"]
    spread = [
        "Grader",
        "Rows#",
        "Answers a row#",
        "Rows that differ#",
        "Mean deviation#",
        "Widest#",
    ]
    return section(
        "judges",
        "Judges",
        table("Tokens", columns, models) if models else None,
        el("h3", "Asked again") if repeats else None,
        table("How far answers to the same row lie apart", spread, repeats) if repeats else None,
    )


def origin(made_by: Provenance) -> Element:
    """What gave the numbers."""
    rows = [
        el("tr", el("th", name, scope="row"), el("td", value, class_="text"))
        for name, value in made_by.facts()
    ]
    text = json.dumps(made_by.grader, indent=2, ensure_ascii=False)
    shown = text if len(text) <= MAX_GRADER_CHARS else text[:MAX_GRADER_CHARS] + "\n…"
    return section(
        "made-by",
        "Origin",
        table("What gave these numbers", ["What", "Value"], rows),
        el(
            "details",
            el("summary", "The grader"),
            el(
                "div",
                el("pre", shown, tabindex=0, aria_label="The grader as JSON"),
                class_="inside",
            ),
            class_="plain",
        )
        if made_by.grader
        else None,
    )
