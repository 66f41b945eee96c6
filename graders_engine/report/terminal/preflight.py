"""What preflight found, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from graders_engine.preflight.findings import Finding, Severity
from graders_engine.preflight.report import PreflightReport
from graders_engine.report.terminal.screen import FILE, Caution, Heading, Problem, Screen

_LINES: dict[Severity, type[str]] = {"error": Problem, "warning": Caution, "info": Heading}
_MOST_LOCATIONS = 3
_ID_COLUMNS = 26


def preflight_text(report: PreflightReport, screen: Screen = FILE) -> str:
    """The findings, what is fine, what was not checked and why, and the numbers."""
    return screen.text(_lines(report))


def _lines(report: PreflightReport) -> Iterator[str]:
    yield _what(report)
    yield ""
    for finding in report.findings:
        yield from _finding(finding)
        yield ""
    yield from _rest(report)
    yield ""
    yield _summary(report)


def _what(report: PreflightReport) -> str:
    inputs = report.inputs
    name = inputs.grader.name if inputs.grader else "grader"
    rows = " + ".join(f"{file.rows:,}" for file in inputs.files)
    graded = sum(len(trials) for trials in inputs.trials.values()) + len(inputs.samples)
    parts = [f"{rows} rows"] if rows else []
    if graded:
        parts.append(f"{graded:,} samples graded in {report.seconds:.1f} s")
    return f"preflight: {', '.join([name, *parts])}"


def _finding(finding: Finding) -> Iterator[str]:
    head = f"{finding.severity:<8} {finding.id}"
    yield _LINES[finding.severity](head)
    yield f"  {finding.message}"
    for line in finding.details:
        yield f"    {line}"
    places = [str(place) for place in finding.where if str(place)]
    if places:
        more = f" and {len(places) - _MOST_LOCATIONS} more" if len(places) > _MOST_LOCATIONS else ""
        yield f"  at {', '.join(places[:_MOST_LOCATIONS])}{more}"
    if finding.fix:
        yield f"  {finding.fix}"
    if finding.see:
        yield f"    {finding.see}"


def _rest(report: PreflightReport) -> Iterator[str]:
    if report.fine:
        by_group = Counter(report.groups[id_] for id_ in report.fine)
        yield f"fine         {len(report.fine)} checks: {_listed(by_group)}"
    whys: dict[str, list[str]] = {}
    for id_, why in report.not_checked.items():
        whys.setdefault(why, []).append(id_)
    for position, (why, ids) in enumerate(whys.items()):
        label = f"not checked  {len(report.not_checked)} checks" if not position else " " * 13
        if not position:
            yield label
        yield f"  {why}: {', '.join(ids)}"
    for finding, reason in report.ignored:
        yield f"ignored      {finding.severity} {finding.id}: {reason}"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{group} {count}" for group, count in counts.items())


def _summary(report: PreflightReport) -> str:
    counts = [
        f"{count} {severity}{'s' if count > 1 and severity != 'info' else ''}"
        for severity in ("error", "warning", "info")
        if (count := report.count(severity))
    ]
    return f"{', '.join(counts) or 'Nothing was found'}."
