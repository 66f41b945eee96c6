"""A field that the grader compares the answer with is null or empty in some rows.

Why: null is rendered as the text `null`, which no right answer is; and an empty text is contained
in every answer, equals only an empty one, and earns a model a reward for saying nothing.

Example: `{"operation": "ilike", "reference": "{{item.answer}}"}` gives 1.0 to any text in a row
whose `answer` is "".

To mend it: fill in the field, or take these rows out.

Ignore it when: no answer is the right answer in these rows.
"""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.commands import run_command
from graders_engine.preflight.data_file import DataFile
from graders_engine.preflight.findings import Finding, Location, NotChecked, Severity
from graders_engine.preflight.grader.field_counts import FieldCount, FieldCounts, FieldUse
from graders_engine.preflight.grader.phrases import and_joined
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.references import GUESSED


def _ask(inputs: Inputs) -> Answer:
    if not inputs.files:
        return NotChecked("no --train")
    uses = inputs.files[0].collected(FieldCounts).uses
    if not uses:
        return NotChecked("the grader names no field of the rows")
    if not any(file.readable for file in inputs.files):
        return NotChecked("no row can be read")
    return _findings(inputs, uses)


def _findings(inputs: Inputs, uses: list[FieldUse]) -> Iterator[Finding]:
    for use in uses:
        severity = _severity(inputs, use)
        found = [(file, file.collected(FieldCounts).counts[use.steps]) for file in inputs.files]
        found = [(file, count) for file, count in found if count.null or count.empty]
        if severity and found:
            yield _finding(inputs, use, severity, found)


def _severity(inputs: Inputs, use: FieldUse) -> Severity | None:
    """What it means if the field has no value; None if that may well be so."""
    answers = (*GUESSED, inputs.options.reference_field)
    if use.compared or (use.needed and use.steps[-1] in answers):
        return "warning"
    return "info" if use.needed and not use.template else None


def _finding(
    inputs: Inputs, use: FieldUse, severity: Severity, found: list[tuple[DataFile, FieldCount]]
) -> Finding:
    where = and_joined(_extent(file, count) for file, count in found)
    lines = [Location(file.name, line) for file, count in found for line in count.empty_lines[:3]]
    nulls = sum(count.null for _, count in found)
    effect = "Null is compared as the text `null`." if use.template and nulls else ""
    return Finding(
        "null-field",
        severity,
        f"`{use.name}` is {where}. {effect}".rstrip(),
        "Fill in the field, or leave these rows out.",
        where=[*lines, Location(inputs.grader_file, 0, use.path)],
        rows=sum(count.null + count.empty for _, count in found),
        numbers={
            "field": use.name,
            "null": {file.name: count.null for file, count in found},
            "empty": {file.name: count.empty for file, count in found},
        },
        see=run_command(inputs, found[0][1].item, "null" if found[0][1].null else "any text"),
    )


def _extent(file: DataFile, count: FieldCount) -> str:
    rows = file.collected(FieldCounts).rows
    parts = [
        f"{word} in {number:,}"
        for word, number in (("null", count.null), ("empty", count.empty))
        if number
    ]
    return f"{and_joined(parts)} of {rows:,} rows of {file.name}"


CHECK = Check(
    "null-field",
    "grader",
    _ask,
    frozenset({"grader"}),
    collects=lambda inputs: FieldCounts(inputs.grader),
    silenced_by=("invalid-grader",),
)
