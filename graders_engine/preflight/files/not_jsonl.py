"""The file is not JSONL: one JSON object on each line, in UTF-8.

Why: the service refuses such a file when it is validated; a line that it skips is a row that is not trained
on.

Example: a file that is one JSON array; rows that are printed over several lines; `NaN`, which JSON does not
have.

To mend it: write each row with `json.dumps(row)` on a line of its own. `jq -c '.[]' rows.json > rows.jsonl`
makes lines of an array.

Ignore it when: the trainer reads another format; then this engine may read it, too (a JSON array, CSV,
Parquet).
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from graders_engine.language.kinds import kind_of
from graders_engine.preflight.check import WHY_NOT, Answer, Check
from graders_engine.preflight.data_file import DataFile, TrainingRow
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.inputs import Inputs

_ID = "not-jsonl"
_SHOWN = 5


class UnreadableLines:
    """Counts the lines that are no objects, and keeps the first."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[tuple[int, str]] = []

    def add(self, row: TrainingRow) -> None:
        """See a row."""
        reason = row.unreadable
        if not reason and not isinstance(row.item, dict):
            reason = f"The line is {kind_of(row.item)}, and not an object."
        if not reason:
            return
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append((row.line, reason))


def _ask(inputs: Inputs) -> Answer:
    if not inputs.files:
        return NotChecked(WHY_NOT["train"])
    if not any(file.fault or file.rows for file in inputs.files):
        return NotChecked("the files have no rows")
    return [found for file in inputs.files for found in _of_file(file)]


def _of_file(file: DataFile) -> Iterator[Finding]:
    if file.fault:
        yield Finding(
            _ID, "error", f"{file.name} cannot be read: {file.fault}",
            "Write one JSON object on each line, in UTF-8.", where=[Location(file.name)], silences=True,
        )  # fmt: skip
        return
    if file.form.split(".")[0] == "json":
        yield Finding(
            _ID, "error", f"{file.name} is one JSON array, and not one object on each line.",
            f"Make lines of it: jq -c '.[]' {file.name}", where=[Location(file.name)],
        )  # fmt: skip
    seen = file.collected(UnreadableLines)
    if seen.count:
        whole = " (none can be read)" if seen.count == file.rows else ""
        yield Finding(
            _ID, "error", f"{seen.count} of {file.rows} lines of {file.name} are no JSON objects{whole}.",
            "Write one JSON object on each line; json.dumps(row, allow_nan=False) makes one.",
            where=[Location(file.name, line) for line, _ in seen.first], rows=seen.count,
            numbers={"unreadable": seen.count, "rows": file.rows},
            details=[f"line {line}: {reason}" for line, reason in seen.first],
            silences=seen.count == file.rows,
        )  # fmt: skip
    elif has_byte_order_mark(file):
        yield Finding(
            _ID, "info", f"{file.name} begins with a byte order mark.",
            "Save it as UTF-8 without one: some readers take it for a part of the first key.",
            where=[Location(file.name, 1)],
        )  # fmt: skip


def has_byte_order_mark(file: DataFile) -> bool:
    """Whether the file begins with that of UTF-8."""
    with file.file.open("rb") as stream:
        return stream.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8


CHECK = Check(_ID, "files", _ask, collects=lambda inputs: UnreadableLines())
