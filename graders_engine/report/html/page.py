"""A run's report as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from graders_engine.report.formatting import interval, money, percent, share_of, written
from graders_engine.report.histogram import Histogram
from graders_engine.report.html import charts
from graders_engine.report.html.markup import el, number, page, section, table
from graders_engine.report.html.parts import failures, judges, origin, prompts, sub_rewards
from graders_engine.report.html.rows import rows_sections
from graders_engine.report.numbers import Numbers
from graders_engine.report.provenance import Provenance
from graders_engine.report.row_texts import RowTexts

STATUSES = {
    "scored": "with a reward",
    "invalid": "the row's or the grader's fault",
    "failed": "infrastructure; no reward, not a zero",
}


def render(numbers: Numbers, made_by: Provenance, texts: RowTexts) -> str:
    """The page.

    Args:
        numbers: what the run came to.
        made_by: what gave the numbers.
        texts: the texts of the rows that are shown.
    """
    parts = [part for part in _parts(numbers, made_by, texts) if part is not None]
    links = [el("li", el("a", part[0].text or "", href=f"#{part.get('id')}")) for part in parts[1:]]
    body = [
        el("a", "Skip to the numbers", href="#overview", class_="skip"),
        _header(made_by),
        el("nav", el("ul", *links), aria_label="Sections"),
        el("main", *parts),
        el(
            "footer",
            f"Written by graders-engine {made_by.engine}. This file holds all that it shows.",
        ),
    ]
    return page(f"{made_by.name}: reward report", body)


def _header(made_by: Provenance) -> Element:
    return el(
        "header",
        el("p", "Reward report", class_="eyebrow"),
        el("h1", made_by.name),
        el("p", made_by.line, class_="quiet"),
    )


def _parts(numbers: Numbers, made_by: Provenance, texts: RowTexts) -> Iterator[Element | None]:
    yield _overview(numbers)
    if numbers.histogram:
        yield _rewards(numbers, numbers.histogram)
    yield sub_rewards(numbers) if numbers.sub_rewards else None
    yield failures(numbers.digest.tally) if numbers.digest.tally.flags else None
    yield prompts(numbers.groups) if numbers.groups else None
    yield judges(numbers) if numbers.spending or numbers.digest.repeats else None
    yield from rows_sections(numbers, texts)
    yield origin(made_by)


def _overview(numbers: Numbers) -> Element:
    tally, mean = numbers.digest.tally, numbers.mean
    if mean is None:
        lead = el("div", el("p", "-", class_="mean"), el("p", "No row has a reward."))
    else:
        lead = el(
            "div",
            el("p", f"{mean.value:.4f}", class_="mean"),
            el("p", "mean reward over ", el("b", f"{tally.scored:,}"), " scored rows"),
            el("p", f"95 % interval {interval(mean)}", class_="quiet"),
        )
    counts = [(status, getattr(tally, status)) for status in STATUSES]
    statuses = [
        el(
            "li",
            el("span", class_=f"dot {status}"),
            el("b", f"{count:,}"),
            f" {status} ",
            el("span", f"({share_of(count, tally.rows)}; {STATUSES[status]})", class_="quiet"),
        )
        for status, count in counts
    ]
    rows = el(
        "div",
        charts.parts(counts, f"{tally.rows:,} rows"),
        el("ul", *statuses, class_="statuses"),
    )
    return el(
        "section",
        el("h2", "Overview", class_="skip"),
        el("div", lead, rows, class_="lead"),
        el("dl", *_figures(numbers), class_="figures"),
        id="overview",
    )


def _figures(numbers: Numbers) -> Iterator[Element]:
    tally = numbers.digest.tally
    if tally.invalid and tally.served_mean is not None:
        yield _figure(
            "As served",
            f"{tally.served_mean:.4f}",
            "with invalid rows, as the hosted API counts them",
        )
    if numbers.quantiles:
        low, quarter, median, three_quarters, high = map(written, numbers.quantiles)
        yield _figure("Median", median, f"half lie from {quarter} to {three_quarters}")
        yield _figure("Range", f"{low} to {high}", "lowest and highest reward")
    if numbers.groups and (unvarying := numbers.groups.unvarying):
        yield _figure(
            "Prompts without variance", percent(unvarying.value), "all samples have one reward"
        )
    if numbers.spending:
        tokens = sum(spent.usage.total_tokens for spent in numbers.spending)
        costs = [spent.cost for spent in numbers.spending if spent.cost is not None]
        yield _figure(
            "Judges' tokens",
            f"{tokens:,}",
            f"cost {money(sum(costs))}" if costs else "no prices known",
        )
    if tally.rows:
        seconds = numbers.digest.seconds
        yield _figure(
            "Time a row", _seconds(seconds / tally.rows), f"{seconds:,.1f} s of grading in all"
        )


def _figure(name: str, value: str, remark: str) -> Element:
    return el("div", el("dt", name), el("dd", value, el("small", remark)))


def _rewards(numbers: Numbers, histogram: Histogram) -> Element:
    rows = [
        el(
            "tr",
            el("th", histogram.label(place), scope="row"),
            number(f"{count:,}"),
            number(share_of(count, numbers.digest.tally.scored)),
        )
        for place, count in enumerate(histogram.counts)
        if count
    ]
    return section(
        "rewards",
        "Rewards",
        el(
            "figure",
            charts.histogram(histogram, "Histogram of the rewards"),
            el("figcaption", "Rewards of the scored rows. ", histogram.described()),
        ),
        el(
            "details",
            el("summary", "The histogram as a table"),
            el(
                "div",
                table("Rewards of the scored rows", ["Reward", "Rows#", "Share#"], rows),
                class_="inside",
            ),
            class_="plain",
        ),
    )


def _seconds(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:,.2f} s"
    return f"{1e3 * seconds:,.1f} ms" if seconds >= 1e-3 else f"{1e6 * seconds:,.1f} µs"
