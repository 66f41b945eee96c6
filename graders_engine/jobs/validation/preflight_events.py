"""What preflight finds without grading anything, as events of a reinforcement job."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from graders_engine.engine import AsyncEngine
from graders_engine.preflight.examine import preflight
from graders_engine.preflight.findings import Finding
from graders_engine.preflight.grader_facts import GraderFacts
from graders_engine.preflight.options import Options
from graders_engine.storage.job_records import NewEvent

_ASKED = (
    "never-evaluated", "batch-over-rows", "empty-prompt", "row-count", "overlap", "duplicate-rows",
    "conflicting-references", "mixed-types", "answer-in-prompt", "tools-missing", "no-validation-file",
    "no-response-format", "not-in-schema",
    "missing-field", "null-field", "sample-unread", "judge-blind", "formula-domain", "unused-part",
    "mixed-scales", "unavailable-import", "outside-access", "random-source", "latin-only-metric",
)  # fmt: skip
"""The checks that cost nothing but a look at the rows and the grader; others are refused before, or grade."""


def preflight_events(
    request: Mapping[str, Any], train: Path, validation: Path | None, names: Mapping[Path, str]
) -> list[NewEvent]:
    """What preflight warns of. Nothing of it keeps a job from its training.

    Args:
        request: of the job, its hyperparameters resolved.
        train: its training rows.
        validation: its validation rows.
        names: what the two files are called where people read it.
    """
    report = asyncio.run(_report(request, train, validation))
    return list(_events(report, names))


def names_calls(grader: Mapping[str, Any]) -> bool:
    """Whether a grader reads the calls of tools in an answer."""
    return asyncio.run(_names_calls(grader))


async def _names_calls(grader: Mapping[str, Any]) -> bool:
    async with AsyncEngine(templates="as_served") as engine:
        return GraderFacts(engine.compile(grader)).names_calls


async def _report(
    request: Mapping[str, Any], train: Path, validation: Path | None
) -> list[Finding]:
    async with AsyncEngine(templates="as_served") as engine:
        found = await preflight(
            engine,
            train=train,
            validation=validation,
            job=request,
            options=Options(select=_ASKED, max_calls=0),
        )
        return list(found.findings)


def _events(findings: list[Finding], names: Mapping[Path, str]) -> Iterator[NewEvent]:
    for finding in findings:
        if finding.severity == "info":
            continue
        texts = [finding.message, finding.fix]
        for path, name in names.items():
            places = rf"{re.escape(str(path))}:(\d+)"
            texts = [re.sub(places, rf"line \1 of {name}", text) for text in texts]
            texts = [text.replace(str(path), name) for text in texts]
        data = {"check": finding.id, "rows": finding.rows, "numbers": dict(finding.numbers)}
        message = f"Preflight, {finding.id}: {' '.join(filter(None, texts))}"
        yield NewEvent("warn", message, data, once=f"preflight {finding.id} {texts[0][:100]}")
