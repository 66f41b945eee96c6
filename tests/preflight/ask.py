"""Asks preflight about a grader and rows that stand in a test."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from graders_engine import Engine
from graders_engine.preflight.findings import Finding
from graders_engine.preflight.options import Options
from graders_engine.preflight.report import PreflightReport

EXACT = {
    "type": "string_check",
    "name": "exact",
    "input": "{{sample.output_text}}",
    "operation": "eq",
    "reference": "{{item.answer}}",
}
"""A grader that nothing is wrong with over `SUMS`."""
SUMS = [
    {
        "messages": [{"role": "user", "content": f"What is {number} + {number * 7 % 13}?"}],
        "answer": str(number + number * 7 % 13),
    }
    for number in range(11, 71)
]


def write_rows(path: Path, rows: Iterable[Any]) -> Path:
    """Write rows as JSONL."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def ask(
    folder: Path,
    grader: Any = None,
    train: Iterable[Any] | str | None = (),
    *,
    validation: Iterable[Any] | str | None = None,
    samples: Iterable[Any] | str | None = None,
    job: Mapping[str, Any] | None = None,
    engine: Engine | None = None,
    **options: Any,
) -> PreflightReport:
    """What preflight finds; a text in place of rows is the whole file."""
    paths: dict[str, Path] = {}
    for name, rows in (("train", train), ("validation", validation), ("samples", samples)):
        path = folder / f"{name}.jsonl"
        if isinstance(rows, str):
            path.write_text(rows, encoding="utf-8")
        elif rows is not None:
            write_rows(path, rows or SUMS)
        else:
            continue
        paths[name] = path
    given = EXACT if grader is None and job is None else grader
    with engine or Engine() as used:
        return used.preflight(given, job=job, options=Options(**options), **paths)


def found(report: PreflightReport, id_: str) -> list[Finding]:
    """The findings of a check."""
    return [finding for finding in report.findings if finding.id == id_]


def only(report: PreflightReport, id_: str) -> Finding:
    """The one finding of a check."""
    (finding,) = found(report, id_)
    return finding
