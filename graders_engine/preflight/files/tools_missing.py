"""The grader looks at tool calls, but the model is given no tools; or the other way round.

Why: a model without tools calls none, and every answer earns what an answer without calls earns.

Example: the grader reads `{{sample.output_tools[0].function.name}}`, and no row has `tools`.

To mend it: put the tools into each row as `"tools": […]`, in the form of the chat API.

Ignore it when: the trainer is given the tools in another way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graders_engine.preflight.check import Check
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.findings import Finding, Location
from graders_engine.preflight.inputs import Inputs

_ID = "tools-missing"


class Tools:
    """How many rows have tools, and the first that has none."""

    def __init__(self) -> None:
        self.rows = self.without = 0
        self.first_without = 0

    def add(self, row: TrainingRow) -> None:
        """See a row."""
        if isinstance(row.item, Mapping) and row.item.get("tools"):
            self.rows += 1
        elif not row.unreadable:
            self.without += 1
            self.first_without = self.first_without or row.line


def _ask(inputs: Inputs) -> Iterator[Finding]:
    file, facts = inputs.train, inputs.grader
    if file is None or facts is None:
        return
    seen = file.collected(Tools)
    if facts.names_calls and seen.without and not _job_has_tools(inputs.job):
        none = not seen.rows
        yield Finding(
            _ID, "warning",
            f"The grader reads tool calls, but {'no row has' if none else f'{seen.without} rows have no'} "
            "`tools`: the model cannot call any.",
            "Put the tools into each row as `tools`.",
            where=[Location(file.name, seen.first_without)], rows=seen.without,
        )  # fmt: skip
    elif seen.rows and "output_tools" not in facts.channels:
        yield Finding(
            _ID, "info",
            f"{seen.rows} rows have `tools`, but the grader does not look at tool calls: an answer that is a "
            "call has an empty text.",
            "Read `sample.output_tools`, or leave the tools out.", where=[Location(file.name)],
            rows=seen.rows,
        )  # fmt: skip


def _job_has_tools(job: Any) -> bool:
    if not isinstance(job, Mapping):
        return False
    return bool(job.get("tools")) or any(
        _job_has_tools(job.get(key)) for key in ("method", "reinforcement")
    )


CHECK = Check(
    _ID,
    "files",
    _ask,
    frozenset({"train", "grader"}),
    lambda inputs: Tools(),
    silenced_by=("not-jsonl",),
)
