"""What attacks earned, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from graders_engine.preflight.attacks.results import (
    Earned,
    attack_scale,
    best_of,
    earned,
    right_and_other,
    shortened,
)
from graders_engine.preflight.attacks.run import not_tried
from graders_engine.preflight.report import PreflightReport
from graders_engine.report.terminal.screen import FILE, Caution, Heading, Screen
from graders_engine.report.width import cut_end, padded

_NAME, _KIND, _NUMBER = 15, 11, 6
_LEAST_SAMPLE = 10


def attacks_text(report: PreflightReport, screen: Screen = FILE) -> str:
    """Each attack with its best sample and what it earned, the best first."""
    return screen.text(_lines(report, screen))


def _lines(report: PreflightReport, screen: Screen) -> Iterator[str]:
    inputs = report.inputs
    found = earned(inputs)
    scale = attack_scale(inputs)
    trials = inputs.trials.get("attacks", [])
    rows = len({trial.ask.line for trial in trials})
    yield (
        f"attack: {inputs.grader.name if inputs.grader else 'grader'}, {len(trials):,} hostile samples of "
        f"{rows} rows graded in {report.seconds:.1f} s"
    )
    if scale is None or not found:
        yield from _conclusion(report)
        return
    yield _compared(report, scale.full)
    yield ""
    yield Heading(f"{'attack':<{_NAME}}{'kind':<{_KIND}}{'mean':>{_NUMBER}}  best sample")
    warned = {
        one["attack"]
        for finding in report.findings
        for one in finding.numbers.get("attacks", [])
        if one["severity"] == "warning"
    }
    for one in best_of(found):
        line = _line(one, screen)
        yield Caution(line) if one.attack.name in warned else line
    yield from _robustness(found)
    yield ""
    if names := not_tried(inputs):
        yield from wrap(f"not tried, for they do not fit: {', '.join(names)}", screen.columns)
    yield from _conclusion(report)


def _compared(report: PreflightReport, full: float) -> str:
    right, other = right_and_other(report.inputs)
    parts = [f"full marks {full:.2f}"]
    parts += [] if right is None else [f"right answers {right:.2f}"]
    parts += [] if other is None else [f"other rows' answers {other:.2f}"]
    return "   ".join(parts)


def _line(one: Earned, screen: Screen) -> str:
    start = f"{padded(one.attack.name, _NAME)}{one.attack.kind:<{_KIND}}{one.mean:>{_NUMBER}.2f}  "
    room = max(min(screen.columns, 120) - len(start), _LEAST_SAMPLE)
    return start + cut_end(f"{one.variant}: {shortened(one.example)}", room)


def _robustness(found: Sequence[Earned]) -> Iterator[str]:
    for one in found:
        if one.attack.kind == "robustness":
            seconds = max(trial.outcome.seconds for trial in one.trials)
            start = f"{padded(one.attack.name, _NAME)}{one.attack.kind:<{_KIND}}"
            yield f"{start}{one.mean:>{_NUMBER}.2f}  {one.variant} in {seconds:.2f} s"


def _conclusion(report: PreflightReport) -> Iterator[str]:
    for finding in report.findings:
        yield ""
        yield f"{finding.severity}  {finding.id}"
        yield f"  {finding.message}"
        yield f"  {finding.fix}"
        if finding.see:
            yield f"    {finding.see}"
    for id_ in ("hackable", "insensitive"):
        if why := report.not_checked.get(id_):
            yield f"{id_}: not checked ({why})"
    if not report.findings and "hackable" in report.fine:
        yield "No attack earns enough to be learned."
