"""A field that the grader reads is of several JSON types.

Why: `"3"` and `3` are different values in python, and a list renders with brackets in a template: a
comparison is right in some rows and cannot be right in the others.

Example: `"answer": 42` in 48 rows and `"answer": "42"` in 2.

To mend it: write the field in one type in all rows.

Ignore it when: the grader converts it, as by `str(item["answer"])`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from graders_engine.preflight.check import Check
from graders_engine.preflight.data_file import DataFile, TrainingRow
from graders_engine.preflight.files.read_fields import MISSING, Field, fields_read, templates_only
from graders_engine.preflight.findings import Finding, Location
from graders_engine.preflight.inputs import Inputs

_SHOWN = 5
_NAMES = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    list: "list",
    dict: "object",
}
_ALIKE = {"string", "number"}
"""What a template renders alike: 3 and "3"."""


def type_of(value: Any) -> str:
    """The JSON type of a value."""
    return "null" if value is None else _NAMES.get(type(value), "object")


class FieldTypes:
    """How often each type stands in each field, and where first."""

    def __init__(self, fields: dict[str, Field]) -> None:
        self.fields = fields
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in fields}
        self.lines: dict[tuple[str, str], list[int]] = {}

    def add(self, row: TrainingRow) -> None:
        """See a row."""
        if row.unreadable:
            return
        for name, field in self.fields.items():
            value = field(row.item)
            if value is MISSING:
                continue
            kind = type_of(value)
            self.counts[name][kind] += 1
            lines = self.lines.setdefault((name, kind), [])
            if len(lines) < _SHOWN:
                lines.append(row.line)


def _ask(inputs: Inputs) -> Iterator[Finding]:
    for file in inputs.files:
        seen = file.collected(FieldTypes)
        for name, counts in seen.counts.items():
            if len(counts) > 1:
                yield _finding(inputs, file, name, seen)


def _finding(inputs: Inputs, file: DataFile, name: str, seen: FieldTypes) -> Finding:
    counts = seen.counts[name]
    kinds = {kind for kind in counts if kind != "null"}
    # What null does in a comparison is said by the check `null-field`.
    alike = len(kinds) < 2 or (kinds <= _ALIKE and templates_only(inputs.grader, name))
    (rare, _) = counts.most_common()[-1]
    lines = seen.lines[name, rare]
    listed = ", ".join(f"{kind} in {count}" for kind, count in counts.most_common())
    return Finding(
        "mixed-types",
        "info" if alike else "warning",
        f"`{name}` has several types in {file.name}: {listed} rows.",
        "Write it in one type in all rows.",
        where=[Location(file.name, line) for line in lines],
        rows=counts[rare],
        numbers=dict(counts),
    )


CHECK = Check(
    "mixed-types", "files", _ask, frozenset({"train", "grader"}),
    lambda inputs: FieldTypes(fields_read(inputs.grader)), silenced_by=("not-jsonl",),
)  # fmt: skip
