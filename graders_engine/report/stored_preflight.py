"""A report of preflight as it is kept: the JSON that is printed, and what is read of it, from any writer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec

from graders_engine.errors import DataSetError
from graders_engine.language import strict_json
from graders_engine.preflight.findings import SEVERITIES, Location, Severity
from graders_engine.preflight.report import PreflightReport
from graders_engine.report.preflight_verdicts import verdicts

KEYS = ("settings", "inputs", "summary", "findings", "fine", "not_checked", "measured")
"""The keys that every report has."""
_Number = Annotated[float, msgspec.Meta(ge=-1e12, le=1e12)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class StoredFinding(msgspec.Struct, frozen=True):
    """A finding, as `preflight.findings.Finding`, and the reason if it is ignored."""

    id: str
    severity: Severity
    message: str
    where: list[Location] = []
    rows: int | None = None
    numbers: dict[str, Any] = {}
    details: list[str] = []
    fix: str = ""
    see: str = ""
    ignored: str | None = None


class StoredInput(msgspec.Struct, frozen=True):
    """A file, or what was given in its place.

    Attributes:
        role: "train", "validation", "samples", "job" or "grader"; older reports do not say it.
        rows: of a file of rows; else None.
        samples: of a file of samples; else None.
        sha256: of its bytes, or of its JSON.
    """

    role: str = ""
    rows: _Count | None = None
    samples: _Count | None = None
    sha256: str = ""

    @property
    def has_lines(self) -> bool:
        """Whether findings name its lines."""
        return self.rows is not None or self.samples is not None


class StoredGrader(msgspec.Struct, frozen=True):
    """What was examined."""

    name: str = ""
    type: str = ""


class StoredVerdict(msgspec.Struct, frozen=True):
    """The answer to one of the five questions, as `preflight_verdicts.Verdict`."""

    question: str
    state: str
    word: str
    sentence: str


class NotAsked(msgspec.Struct, frozen=True):
    """A check that was not asked, and why."""

    id: str
    why: str


class _Scale(msgspec.Struct):
    lowest: _Number
    full: _Number
    honest: _Number
    from_spec: bool


class _References(msgspec.Struct):
    rewarded: _Count
    rows: _Count
    confidence: str
    mean: _Number | None
    low: _Number | None
    high: _Number | None
    field: str | None
    sure: bool = True


class _Floor(msgspec.Struct):
    mean: _Number
    pairs: _Count


class _Constant(msgspec.Struct):
    sample: str
    mean: _Number


class _Variant(msgspec.Struct):
    name: str
    sample: str
    mean: _Number
    low: _Number
    high: _Number
    gain: _Number
    rows: _Count


class _Attack(msgspec.Struct):
    name: str
    kind: str
    mean: _Number
    low: _Number
    high: _Number
    variants: Annotated[list[_Variant], msgspec.Meta(min_length=1)]


class _Corruption(msgspec.Struct):
    operator: str
    field: str | None
    sample: str
    count: Annotated[int, msgspec.Meta(ge=1, le=1 << 53)]
    survived: _Count
    loss: _Number
    mean: _Number
    rows: _Count


class _Tolerance(msgspec.Struct):
    name: str
    kept: _Number
    rows: _Count


class _Baseline(msgspec.Struct):
    mean: _Number
    low: _Number | None
    high: _Number | None
    samples: _Count
    prompts: _Count


class _Signal(msgspec.Struct):
    share: _Number
    low: _Number | None
    high: _Number | None
    group_size: _Count
    prompts: _Count


class _Seconds(msgspec.Struct):
    p50: _Number
    p95: _Number


class _Cost(msgspec.Struct):
    tokens_per_call: _Number
    tokens: Annotated[float, msgspec.Meta(ge=0)]
    calls: _Count
    money: _Number | None


class _Prompts(msgspec.Struct):
    p50: _Number
    p95: _Number
    max: _Count


_MEASURED: Mapping[str, Any] = {
    "scale": _Scale, "references": _References, "floor": _Floor, "constants": list[_Constant],
    "attacks": list[_Attack], "corruptions": list[_Corruption], "tolerance": list[_Tolerance],
    "baseline": _Baseline, "signal": _Signal, "seconds": _Seconds, "cost": _Cost, "prompts": _Prompts,
}  # fmt: skip
"""What pages read of each part of `measured`; a part of another form is left out of them."""


class StoredReport(msgspec.Struct, frozen=True):
    """A report of preflight.

    Attributes:
        settings: the options, by name.
        inputs: the files by their names as they were given, and the job and the grader.
        summary: how many findings there are of each severity.
        findings: all findings, those that are ignored at the end.
        fine: ids of checks that found nothing.
        not_checked: the checks that were not asked.
        measured: what was measured, as JSON values.
        engine: the version that wrote it.
        grader: what was examined; None if it could not be compiled.
        groups: of each check, its group.
        verdicts: the five answers.
    """

    settings: dict[str, Any]
    inputs: dict[str, StoredInput]
    summary: dict[str, int]
    findings: list[StoredFinding]
    fine: list[str]
    not_checked: list[NotAsked]
    measured: dict[str, Any]
    engine: str = ""
    grader: StoredGrader | None = None
    groups: dict[str, str] = {}
    verdicts: list[StoredVerdict] = []

    @property
    def counted(self) -> list[StoredFinding]:
        """The findings that count."""
        return [finding for finding in self.findings if finding.ignored is None]

    @property
    def worst(self) -> str:
        """The severity of the gravest finding; "fine" without any."""
        found = {finding.severity for finding in self.counted}
        return next((one for one in reversed(SEVERITIES) if one in found), "fine")

    @property
    def unknown_parts(self) -> list[str]:
        """The parts of `measured` that have another form than this version writes."""
        return [name for name in self.measured if name not in self.known_parts]

    @property
    def known_parts(self) -> dict[str, Any]:
        """The parts of `measured` that have the form that this version writes."""
        return dict(_known(self.measured))


def _known(measured: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in measured.items():
        form = _MEASURED.get(name)
        try:
            if form is not None:
                msgspec.convert(value, form)
                yield name, value
        except (msgspec.ValidationError, RecursionError):
            continue


def preflight_json(report: PreflightReport, fail_on: Severity | None = None) -> dict[str, Any]:
    """All of a report as JSON values: that of `PreflightReport.to_json`, with the verdicts.

    Args:
        report: what was found.
        fail_on: from which severity on the command fails; None if that is no question.
    """
    whole = report.to_json()
    if fail_on is not None:
        whole["settings"]["fail_on"] = fail_on
    whole["verdicts"] = [
        {"question": one.question, "state": one.state, "word": one.word, "sentence": one.sentence}
        for one in verdicts(report)
    ]
    return whole


def stored(report: PreflightReport) -> StoredReport:
    """A report as it would be read again."""
    return _converted(strict_json.decode(strict_json.encode(preflight_json(report))))


def read_stored(content: bytes) -> StoredReport:
    """A report from the bytes of a file.

    Raises:
        DataSetError: it is no report, or a part of one.
    """
    try:
        value = strict_json.decode(content)
    except ValueError as error:
        raise DataSetError(
            f"The report cannot be read: it is not JSON: {strict_json.explained(error)}."
        ) from None
    try:
        return _converted(value)
    except (msgspec.ValidationError, RecursionError) as error:
        raise DataSetError(
            f"The report cannot be read: {error or 'it nests too deep'}. Write it again with `graders "
            "preflight --json`."
        ) from None


def _converted(value: Any) -> StoredReport:
    return msgspec.convert(value, StoredReport)
