"""There are too many rows for the service, or too few to learn from.

Why: the service takes at most 50,000 training and 1,000 validation rows; the guide on reinforcement
fine-tuning speaks of several dozen to hundreds.

Example: 8 training rows, of which each group of answers is seen again and again.

To mend it: draw fewer rows, or collect more.

Ignore it when: it is a trial to see whether the job runs.
"""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.preflight.check import WHY_NOT, Answer, Check
from graders_engine.preflight.data_file import DataFile
from graders_engine.preflight.findings import Finding, Location, NotChecked, Severity
from graders_engine.preflight.inputs import Inputs

_ID = "row-count"
MOST = {"train": 50_000, "validation": 1_000}
"""Rows that the service takes (guide on reinforcement fine-tuning)."""
FEW, MANY = 10, 50


def _ask(inputs: Inputs) -> Answer:
    return _findings(inputs) if inputs.train else NotChecked(WHY_NOT["train"])


def _findings(inputs: Inputs) -> Iterator[Finding]:
    for file in inputs.files:
        if file.fault:
            continue
        most = MOST[file.role]
        if file.rows > most:
            message = f"{file.name} has {file.rows:,} rows; the service takes at most {most:,}."
            yield _finding(file, "error", message, f"Draw {most:,} of them.")
        elif not file.rows:
            yield _finding(file, "error", f"{file.name} has no rows.", "Write rows into it.")
        elif file.role == "train" and file.rows < MANY:
            few = file.rows < FEW
            rows = "1 row" if file.rows == 1 else f"{file.rows} rows"
            message = f"{file.name} has {rows}; the guide speaks of several dozen to hundreds."
            fix = "Collect more rows, unless this is a trial."
            yield _finding(file, "warning" if few else "info", message, fix)


def _finding(file: DataFile, severity: Severity, message: str, fix: str) -> Finding:
    where, numbers = [Location(file.name)], {"rows": file.rows}
    return Finding(_ID, severity, message, fix, where=where, rows=file.rows, numbers=numbers)


CHECK = Check(_ID, "files", _ask, silenced_by=("not-jsonl",))
