"""What preflight found, as one HTML file that needs no other file and no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from graders_engine.preflight.findings import Location
from graders_engine.preflight.options import LIMITS
from graders_engine.preflight.report import PreflightReport
from graders_engine.report import formatting
from graders_engine.report.html.ladder import as_written, ladder_of
from graders_engine.report.html.rendering import environment, policy_hash, style_of
from graders_engine.report.preflight_verdicts import counted, time_of
from graders_engine.report.stored_preflight import NotAsked, StoredFinding, StoredReport, stored
from graders_engine.report.visible import one_line, start_of, visible
from graders_engine.version import __version__

PLACES = 5
"""Places of a finding on a page that cannot lead to them."""
_FILTERS = (
    as_written,
    formatting.format_count,
    formatting.format_number,
    formatting.format_percent,
    formatting.format_seconds,
    one_line,
    start_of,
)


class PlaceLink(NamedTuple):
    """A place of a finding as text, and the address of what is there; empty for none."""

    text: str
    href: str


Link = Callable[[Location], str]
"""Gives the address of a place; empty for none."""


def _no_link(place: Location) -> str:
    return ""


def preflight_page(report: PreflightReport) -> str:
    """The whole page, as text to be encoded as UTF-8; it loads nothing and runs nothing.

    Args:
        report: what was found.
    """
    made = environment(_FILTERS)
    style = style_of(made, "preflight.css")
    page = made.get_template("preflight.html.jinja").render(
        **_values(stored(report), _no_link, PLACES),
        style=style,
        style_hash=policy_hash(style),
    )
    # Jinja has escaped markup; this does the same for characters that hide or change the reading direction.
    return visible(page)


def preflight_sections(
    report: StoredReport, link: Link, places: int, findings: int
) -> Iterator[tuple[str, str, str]]:
    """The id, the heading and the HTML of each section of the page, the verdicts first.

    Args:
        report: what was found.
        link: gives the addresses that the places of findings lead to.
        places: how many places of a finding are listed.
        findings: how many findings are.
    """
    made = environment(_FILTERS)
    values = _values(report, link, places, findings)
    for id_, heading in (("overview", "The five questions"), *values["sections"]):
        template = made.get_template(f"preflight/{id_}.html.jinja")
        yield id_, heading, visible(template.render(values))


def _values(
    report: StoredReport, link: Link, most_places: int, most_findings: int | None = None
) -> dict[str, Any]:
    """What the templates read."""
    measured = report.known_parts
    findings = report.counted
    values = {
        "name": report.grader.name if report.grader else "grader",
        "findings": findings[:most_findings],
        "left_out": len(findings) - len(findings[:most_findings]),
        "ignored": [one for one in report.findings if one.ignored is not None],
        "measured": measured,
        "unknown_parts": report.unknown_parts,
        "verdicts": report.verdicts,
        "ladder": ladder_of(measured),
        "statistics": list(_statistics(measured)),
        "fine": _by_group(report),
        "not_checked": _by_reason(report.not_checked),
        "origin": list(_origin(report)),
        "places": lambda finding: _places(finding, link),
        "most_places": most_places,
        "version": report.engine or __version__,
    }
    return {**values, "sections": list(_sections(values))}


def _places(finding: StoredFinding, link: Link) -> list[PlaceLink]:
    """The places of a finding, without the folders of their files."""
    found = []
    for at in finding.where:
        line = f":{at.line}" if at.line else ""
        text = ": ".join(filter(None, (f"{Path(at.file).name}{line}", at.path)))
        if text:
            found.append(PlaceLink(text, link(at)))
    return found


def _sections(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(id, heading) of the sections that are not empty."""
    measured = values["measured"]
    for id_, heading, shown_if in (
        ("findings", "Findings", True),
        ("ladder", "Ladder of rewards", values["ladder"]),
        ("attacks", "Attacks", measured.get("attacks")),
        ("corruptions", "Corruptions", measured.get("corruptions")),
        ("tolerance", "Tolerance", measured.get("tolerance")),
        ("statistics", "Statistics", True),
        ("fine", "Fine", values["fine"]),
        ("not-checked", "Not checked", values["not_checked"]),
        ("ignored", "Ignored", values["ignored"]),
        ("origin", "Origin", True),
    ):
        if shown_if:
            yield id_, heading


def _by_group(report: StoredReport) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for id_ in report.fine:
        found.setdefault(report.groups.get(id_, "others"), []).append(id_)
    return found


def _by_reason(not_checked: Sequence[NotAsked]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for check in not_checked:
        found.setdefault(check.why, []).append(check.id)
    return found


def _ends(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"; 95 % interval {low:.2f} to {high:.2f}"


def _statistics(measured: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if scale := measured.get("scale"):
        origin = (
            "from the grader's form"
            if scale["from_spec"]
            else "the highest seen, or what its source can return"
        )
        yield (
            "Scale",
            f"{scale['lowest']:.2f} to {scale['full']:.2f} ({origin}); ignorance earns {scale['honest']:.2f}",
        )
    if right := measured.get("references"):
        origin = f"field `{right['field']}`" if right["field"] else "the templates"
        mean = "-" if right["mean"] is None else f"{right['mean']:.2f}"
        ends = _ends(right["low"], right["high"])
        yield (
            "Right answers",
            (
                f"mean {mean}{ends}; {right['rewarded']} of {right['rows']} earn full marks; "
                f"{right['confidence']}, from {origin}"
            ),
        )
    if floor := measured.get("floor"):
        yield (
            "Other rows' answers",
            f"mean {floor['mean']:.2f} over {counted(floor['pairs'], 'pair')}",
        )
    if base := measured.get("baseline"):
        yield (
            "Base model",
            (
                f"mean {base['mean']:.2f}{_ends(base['low'], base['high'])}; "
                f"{counted(base['samples'], 'sample')} of {counted(base['prompts'], 'prompt')}"
            ),
        )
    if signal := measured.get("signal"):
        ends, prompts = _ends(signal["low"], signal["high"]), counted(signal["prompts"], "prompt")
        yield (
            f"Groups of {signal['group_size']} with a signal",
            f"{signal['share']:.0%}{ends}; {prompts}",
        )
    if seconds := measured.get("seconds"):
        p50, p95 = (time_of(seconds[name]) for name in ("p50", "p95"))
        yield "Time of one answer", f"median {p50}, 95th percentile {p95}"
    if cost := measured.get("cost"):
        yield (
            "Judges",
            f"{cost['tokens_per_call']:,.0f} tokens an answer; {cost['tokens']:,.0f} for "
            f"{cost['calls']:,} answers of the job"
            + ("" if cost["money"] is None else f", which cost {cost['money']:,.2f}"),
        )
    if chars := measured.get("prompts"):
        yield (
            "Characters of a prompt",
            f"median {chars['p50']:,.0f}, 95th percentile {chars['p95']:,.0f}, longest {chars['max']:,}",
        )


def _origin(report: StoredReport) -> Iterator[tuple[str, str]]:
    yield "Engine", f"graders-engine {report.engine or 'of unknown version'}"
    for name, one in report.inputs.items():
        if one.rows is not None:
            yield (
                "Validation rows" if one.role == "validation" else "Training rows",
                f"{Path(name).name}: {counted(one.rows, 'row')}, sha256 {one.sha256 or 'unknown'}",
            )
        elif one.samples is not None:
            yield "Samples", f"{Path(name).name}: {counted(one.samples, 'sample')}"
    for name, value in report.settings.items():
        if name not in ("limits", "ignore") and value not in (None, "", []):
            yield (
                name.replace("_", " "),
                ", ".join(map(str, value)) if isinstance(value, list) else str(value),
            )
    limits = report.settings.get("limits")
    for name, value in limits.items() if isinstance(limits, dict) else ():
        if value != LIMITS.get(name):
            yield f"limit {name}", str(value)
