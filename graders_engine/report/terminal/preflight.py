"""What preflight found, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from graders_engine.preflight.findings import SEVERITIES, Finding, Severity
from graders_engine.preflight.report import FOUND, PreflightReport
from graders_engine.report.preflight_verdicts import counted, verdicts
from graders_engine.report.terminal.screen import FILE, Caution, Heading, Problem, Screen
from graders_engine.report.visible import visible
from graders_engine.report.width import cut_end

_LINES: dict[Severity, type[str]] = {"error": Problem, "warning": Caution, "info": Heading}
_MOST_LOCATIONS = 3
_LABEL_COLUMNS = 13
"""Columns of the labels at the left of the last blocks; wrapped text begins below what follows them."""


def preflight_text(
    report: PreflightReport, screen: Screen = FILE, fail_on: Severity = "error"
) -> str:
    """The findings, what is fine, what was not checked and why, and the numbers.

    Args:
        report: what was found.
        screen: what it is printed on.
        fail_on: how grave a finding must be for exit code 3.
    """
    return screen.text(_lines(report, screen, fail_on))


def _lines(report: PreflightReport, screen: Screen, fail_on: Severity) -> Iterator[str]:
    yield Heading(_what(report))
    yield ""
    for finding in report.findings:
        yield from _finding(finding, screen)
        yield ""
    if rest := list(_rest(report)):
        yield from rest
        yield ""
    for verdict in verdicts(report):
        question = verdict.question.removeprefix("Anything ").lower()
        yield f"{question:<{_LABEL_COLUMNS}}{verdict.line}"
    yield ""
    yield summary(report, fail_on)


def _what(report: PreflightReport) -> str:
    inputs = report.inputs
    name = inputs.grader.name if inputs.grader else "grader"
    type_ = f" ({inputs.grader.compiled.type})" if inputs.grader else ""
    rows = " + ".join(f"{file.rows:,}" for file in inputs.files)
    graded = sum(len(trials) for trials in inputs.trials.values()) + len(inputs.samples)
    parts = [f"{rows} row{'' if rows == '1' else 's'}"] if rows else []
    if graded:
        parts.append(f"{counted(graded, 'sample')} graded in {report.seconds:.1f} s")
    return f"preflight: {', '.join([f'{name}{type_}', *parts])}"


def _finding(finding: Finding, screen: Screen) -> Iterator[str]:
    yield _LINES[finding.severity](f"{finding.severity:<8} {finding.id}")
    yield f"  {finding.message}"
    for line in finding.details:
        # A caret stays below its line, and what was answered is known by its beginning.
        fits = not screen.wraps or line.lstrip().startswith("^")
        yield f"    {line if fits else cut_end(visible(line), 2 * screen.columns - 8)}"
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
        groups = Counter(report.groups[id_] for id_ in report.fine)
        listed = ", ".join(f"{group} {count}" for group, count in groups.items())
        yield f"{'fine':<{_LABEL_COLUMNS}}{counted(len(report.fine), 'check')}: {listed}"
    for position, (why, ids) in enumerate(by_reason(report.not_checked).items()):
        label = "" if position else "not checked"
        yield f"{label:<{_LABEL_COLUMNS}}{why}: {', '.join(ids)}"
    for position, (finding, reason) in enumerate(report.ignored):
        label = "" if position else "ignored"
        yield f"{label:<{_LABEL_COLUMNS}}{finding.severity} {finding.id}: {reason}"


def by_reason(not_checked: Mapping[str, str]) -> dict[str, list[str]]:
    """The ids of checks that were not asked, by the reason."""
    found: dict[str, list[str]] = {}
    for id_, why in not_checked.items():
        found.setdefault(why, []).append(id_)
    return found


def summary(report: PreflightReport, fail_on: Severity) -> str:
    """How much was found, and with which exit code that ends."""
    counts = [
        counted(count, severity)
        for severity in reversed(SEVERITIES)
        if (count := report.count(severity))
    ]
    nothing = "Nothing but what is ignored was found" if report.ignored else "Nothing was found"
    nothing += "" if report.inputs.files else ", as no rows were given"
    found = f"{', '.join(counts) or nothing}."
    if report.inputs.stopped or any(file.fault for file in report.inputs.files):
        return found
    code = report.exit_code(fail_on)
    lower = next((s for s in reversed(SEVERITIES) if report.exit_code(s) == FOUND), None)
    hint = f" (--fail-on {lower} would give {FOUND})" if not code and lower else ""
    return f"{found} Exit code {code}{hint}."
