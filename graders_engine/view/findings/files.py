"""Reports of preflight as files: what a list says of one, and where the files are that it is of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from graders_engine.errors import DataSetError
from graders_engine.preflight.data_file import sha256_of
from graders_engine.preflight.findings import SEVERITIES
from graders_engine.report.stored_preflight import StoredReport, read_stored
from graders_engine.view.folders.lines import Written, last_write

if TYPE_CHECKING:
    from graders_engine.view.folders.runs import RunSource

MAX_BYTES = 2 << 20
"""A longer file is not read as a report."""
MAX_CHARS = 200
"""Characters of a name in a list."""
_Stamp = Written | None


def report_at(path: Path) -> StoredReport:
    """The report in a file.

    Raises:
        DataSetError: it cannot be read, or is none.
    """
    found = _read(path, last_write(path))
    if isinstance(found, str):
        raise DataSetError(found)
    return found


@lru_cache(8)
def _read(path: Path, _stamp: _Stamp) -> StoredReport | str:
    """The report, or why there is none."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        return f"The report cannot be read: {error.strerror}."
    if len(content) > MAX_BYTES:
        return f"The report cannot be read: it is longer than {MAX_BYTES:,} bytes."
    try:
        return read_stored(content)
    except DataSetError as error:
        return str(error)


def listed_report(name: str, path: Path) -> dict[str, Any]:
    """What a list says of a report.

    Args:
        name: of its file, in addresses.
        path: of its file.
    """
    stamp = last_write(path)
    when = None if stamp is None else datetime.fromtimestamp(stamp.at / 1e9, UTC)
    known = _listed(path, stamp)
    return {
        "report": name,
        "when": when and when.isoformat(timespec="seconds"),
        **(known if isinstance(known, dict) else {**_NOTHING, "problem": known}),
    }


_NOTHING: Mapping[str, Any] = {
    "grader": None, "data": [], "rows": None, "verdict": None, "findings": None, "problem": "",
}  # fmt: skip


@lru_cache(1024)
def _listed(path: Path, stamp: _Stamp) -> dict[str, Any] | str:
    """What a list says of a report, but for its name; or why it says nothing."""
    report = _read(path, stamp)
    if isinstance(report, str):
        return report
    files = {name: one for name, one in report.inputs.items() if one.has_lines}
    rows = [one.rows for one in files.values() if one.rows is not None]
    severities = [finding.severity for finding in report.counted]
    return {
        **_NOTHING,
        "grader": report.grader.name[:MAX_CHARS] if report.grader else None,
        "data": [Path(name).name[:MAX_CHARS] for name in files][:3],
        "rows": sum(rows) if rows else None,
        "verdict": report.worst,
        "findings": {name: severities.count(name) for name in reversed(SEVERITIES)},
    }


class NamedFile(NamedTuple):
    """A file that a report names.

    Attributes:
        path: where it is; None if it is not in what was opened.
        is_same: whether it is as it was when the report was made.
        problem: a sentence, if it is not.
    """

    path: Path | None
    is_same: bool
    problem: str = ""


def named_file(source: RunSource, report: str, stored: StoredReport, name: str) -> NamedFile:
    """Find a file by the name that a report has for it.

    Args:
        source: knows what was opened.
        report: the name of the report's file, in addresses.
        stored: the report.
        name: one of its inputs.
    """
    short, digest = Path(name).name, stored.inputs[name].sha256
    found = source.named_in(report, name)
    for path in found:
        if digest and _sha256(path, last_write(path)) == digest:
            return NamedFile(path, is_same=True)
    if not found:
        problem = f"{short} is not in what was opened: open its folder, too, to see its rows."
        return NamedFile(None, is_same=False, problem=problem)
    problem = f"{short} is not as it was when the report was made: its lines may be others."
    return NamedFile(found[0], is_same=False, problem=problem)


@lru_cache(64)
def _sha256(path: Path, _stamp: _Stamp) -> str:
    return sha256_of(path)
