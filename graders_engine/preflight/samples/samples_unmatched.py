"""The samples belong to no row of the files.

Why: what the base model earns on other rows says nothing about these; only samples of these rows are looked
at.

Example: the samples were made from last month's version of the training file.

To mend it: sample the base model on these rows. A sample belongs to a row with the same `id` in its item,
else to one with the same messages.

Ignore it when: the samples that remain are enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graders_engine.preflight.check import Check
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.findings import Finding, Location
from graders_engine.preflight.inputs import Inputs

_ID = "samples-unmatched"
MOST_SAMPLES = 20_000
"""Samples that are read; more change no estimate by much."""


class RowIndex:
    """The lines of a file by the rows' ids and prompts."""

    def __init__(self) -> None:
        self.by_id: dict[int, int] = {}
        self.by_prompt: dict[int, int] = {}
        self.by_item: dict[int, int] = {}

    def add(self, row: TrainingRow) -> None:
        """See a row."""
        if row.unreadable:
            return
        for found, key in self._keys(row):
            found.setdefault(key, row.line)

    def find(self, row: TrainingRow) -> int:
        """The line of the row that this one belongs to; 0 for none."""
        return next((found[key] for found, key in self._keys(row) if key in found), 0)

    def _keys(self, row: TrainingRow) -> Iterator[tuple[dict[int, int], int]]:
        if (id_ := _id_of(row.item)) is not None:
            yield self.by_id, id_
        if row.prompt_key:
            yield self.by_prompt, row.prompt_key
        else:
            yield self.by_item, row.item_key


def _id_of(item: Any) -> int | None:
    id_ = item.get("id") if isinstance(item, Mapping) else None
    return hash(str(id_)) if isinstance(id_, (str, int)) else None


def _ask(inputs: Inputs) -> Iterator[Finding]:
    where = [Location(inputs.samples_file)]
    if inputs.samples_fault:
        yield Finding(
            _ID, "error", f"The samples cannot be read: {inputs.samples_fault}",
            "Pass a file that `graders score` can read.", where=where, silences=True,
        )  # fmt: skip
        return
    if not inputs.samples_read and inputs.grader_runs:
        yield Finding(
            _ID, "error", f"{inputs.samples_file} has no samples.",
            "Sample the base model on these rows, or leave --samples out.", where=where, silences=True,
        )  # fmt: skip
        return
    if inputs.samples_read >= MOST_SAMPLES:
        yield Finding(
            _ID, "info", f"Only the first {MOST_SAMPLES:,} samples were read, and the numbers are theirs.",
            "Draw that many evenly if the file is sorted.", where=where,
        )  # fmt: skip
    lost = inputs.samples_read - len(inputs.samples)
    if lost and not inputs.samples:
        yield Finding(
            _ID, "error", f"None of the {lost:,} samples belongs to a row of the files.",
            "Sample the base model on these rows, and keep their items.", where=where, silences=True,
        )  # fmt: skip
    elif lost:
        yield Finding(
            _ID, "warning",
            f"{lost:,} of {inputs.samples_read:,} samples belong to no row of the files, and are left out.",
            "Sample the base model on these rows, and keep their items.", where=where, rows=lost,
            numbers={"unmatched": lost, "samples": inputs.samples_read},
        )  # fmt: skip


CHECK = Check(_ID, "samples", _ask, frozenset({"samples", "grader"}), lambda inputs: RowIndex())
