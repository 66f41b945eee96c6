"""The samples belong to no row of the files.

Why: what the base model earns on other rows says nothing about these; only samples of these rows are looked
at.

Example: the samples were made from last month's version of the training file.

To mend it: sample the base model on these rows. A sample belongs to a row with the same `id` in its item,
else to one with the same messages, and is graded with what that row says: a job knows no other item.

Ignore it when: the samples that remain are enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graders_engine.outcome import details_line
from graders_engine.preflight.check import Check
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.findings import Finding, Location
from graders_engine.preflight.inputs import Inputs

_ID = "samples-unmatched"
_SHOWN = 3
MOST_SAMPLES = 20_000
"""Samples that are read; more change no estimate by much."""


class RowIndex:
    """The lines of a file by the rows' items, ids and prompts."""

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
        yield self.by_item, row.item_key
        if (id_ := _id_of(row.item)) is not None:
            yield self.by_id, id_
        if row.prompt_key:
            yield self.by_prompt, row.prompt_key


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
    if not inputs.samples_read and not inputs.lacking:
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
    yield from _items(inputs, where)
    lost, unreadable = inputs.samples_read - len(inputs.given), len(inputs.samples_unreadable)
    if lost and not inputs.given:
        yield Finding(
            _ID, "error", f"None of the {lost:,} samples belongs to a row of the files.",
            "Sample the base model on these rows, and keep their items.", where=where, silences=True,
        )  # fmt: skip
    elif inputs.samples_unreadable:
        yield Finding(
            _ID, "warning",
            f"{unreadable:,} of {inputs.samples_read:,} samples cannot be read, and "
            f"{'is' if unreadable == 1 else 'are'} left out.",
            "Mend these lines: each must be a JSON object.",
            where=_places(inputs, [line for line, _ in inputs.samples_unreadable]), rows=unreadable,
            numbers={"unreadable": unreadable, "samples": inputs.samples_read},
            details=[f"line {line}: {why}" for line, why in inputs.samples_unreadable[:_SHOWN]],
        )  # fmt: skip
    lost -= unreadable
    if lost and inputs.given:
        yield Finding(
            _ID, "warning",
            f"{lost:,} of {inputs.samples_read:,} samples {'belongs' if lost == 1 else 'belong'} to no row "
            f"of the files, and {'is' if lost == 1 else 'are'} left out.",
            "Sample the base model on these rows, and keep their items.",
            where=_places(inputs, inputs.samples_lost), rows=lost,
            numbers={"unmatched": lost, "samples": inputs.samples_read},
        )  # fmt: skip


def _places(inputs: Inputs, lines: Sequence[int]) -> list[Location]:
    return [Location(inputs.samples_file, line) for line in dict.fromkeys(lines)]


def _items(inputs: Inputs, where: list[Location]) -> Iterator[Finding]:
    """Samples whose item says something else than their row, and those that no row gave an item to."""
    total = len(inputs.samples)
    other = [sample for sample in inputs.samples if sample.other]
    names = ", ".join(f"`{name}`" for name in dict.fromkeys(n for one in other for n in one.other))
    if other:
        yield Finding(
            _ID, "warning",
            f"{len(other):,} of {total:,} samples have another value than their row in {names}, which the "
            "grader reads; they are graded with the row's.",
            "Sample the base model on these rows, and see which of the two values is right.",
            where=[Location(inputs.samples_file, sample.line) for sample in other[:5]], rows=len(other),
            numbers={"other_item": len(other), "samples": total},
        )  # fmt: skip
    lacking = [sample for sample in inputs.samples if sample.blame == "row"]
    if lacking:
        details = dict.fromkeys(details_line(text) for s in lacking for text in s.flags.values())
        yield Finding(
            _ID, "warning",
            f"{len(lacking):,} of {total:,} samples cannot be graded, for their item lacks what the grader "
            "reads, and are in no mean.",
            "Keep the whole row as the item of its samples.",
            where=[Location(inputs.samples_file, sample.line) for sample in lacking[:5]],
            rows=len(lacking), numbers={"not_graded": len(lacking), "samples": total},
            details=[line for line in details if line][:3],
        )  # fmt: skip


CHECK = Check(_ID, "samples", _ask, frozenset({"samples", "grader"}), lambda inputs: RowIndex())
