"""What preflight found."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graders_engine.language import strict_json
from graders_engine.preflight.findings import SEVERITIES, Finding, Location, Severity
from graders_engine.preflight.inputs import Inputs
from graders_engine.version import __version__

FOUND = 3
"""Exit code if there is a finding at or above the severity that fails."""


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """What preflight found, what is fine, and what could not be checked.

    Example::

        report = engine.preflight(grader, train="train.jsonl")
        for finding in report.findings:
            print(finding.severity, finding.id, finding.message)

    Attributes:
        findings: the findings, the gravest first; those that are ignored stand in `ignored`.
        fine: the ids of the checks that were asked and found nothing.
        not_checked: the ids of the others, each with the reason.
        ignored: findings that do not count, each with the reason that was given.
        measured: what was measured, by name, as JSON values.
        inputs: what it was asked of.
        seconds: how long it took.
    """

    findings: Sequence[Finding]
    fine: Sequence[str]
    not_checked: Mapping[str, str]
    ignored: Sequence[tuple[Finding, str]]
    measured: Mapping[str, Any]
    inputs: Inputs
    seconds: float = 0.0
    groups: Mapping[str, str] = field(default_factory=dict)

    def count(self, severity: Severity) -> int:
        """How many findings have this severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def exit_code(self, fail_on: Severity = "error") -> int:
        """0, or 3 if a finding is at least as grave as this."""
        least = SEVERITIES.index(fail_on)
        grave = any(SEVERITIES.index(found.severity) >= least for found in self.findings)
        return FOUND if grave else 0

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        inputs = self.inputs
        return {
            "engine": __version__,
            "settings": inputs.options.to_json(),
            "grader": _grader(inputs),
            "inputs": dict(_inputs(inputs)),
            "summary": {
                **{severity: self.count(severity) for severity in reversed(SEVERITIES)},
                "ignored": len(self.ignored),
            },
            "findings": [
                *(_json(finding) for finding in self.findings),
                *(_json(finding, reason) for finding, reason in self.ignored),
            ],
            "fine": list(self.fine),
            "not_checked": [{"id": id_, "why": why} for id_, why in self.not_checked.items()],
            "measured": dict(self.measured),
            "groups": dict(self.groups),
        }


def _grader(inputs: Inputs) -> dict[str, str] | None:
    """What is examined; None if it cannot be compiled."""
    facts = inputs.grader
    return None if facts is None else {"name": facts.name, "type": facts.compiled.type}


def _inputs(inputs: Inputs) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each input by its file's name, or by what it is, with the hash of its bytes or of its JSON."""
    for file in inputs.files:
        yield file.name, {"role": file.role, "rows": file.rows, "sha256": file.sha256}
    if inputs.samples_file:
        yield (
            inputs.samples_file,
            {"role": "samples", "samples": inputs.samples_read, "sha256": inputs.samples_sha256},
        )
    if inputs.job is not None:
        yield inputs.job_file or "job", {"role": "job", "sha256": _hash(inputs.job)}
    if inputs.grader is not None and inputs.grader_file != inputs.job_file:
        given = inputs.grader.compiled.given
        yield inputs.grader_file or "grader", {"role": "grader", "sha256": _hash(given)}


def _hash(value: Any) -> str:
    return hashlib.sha256(strict_json.encode(value)).hexdigest()


def _json(finding: Finding, ignored: str | None = None) -> dict[str, Any]:
    return {
        "id": finding.id,
        "severity": finding.severity,
        "message": finding.message,
        "where": [_place(place) for place in finding.where],
        "rows": finding.rows,
        "numbers": dict(finding.numbers),
        "details": list(finding.details),
        "fix": finding.fix,
        "see": finding.see,
        "ignored": ignored,
    }


def _place(place: Location) -> dict[str, Any]:
    return {"file": place.file, "line": place.line, "path": place.path}
