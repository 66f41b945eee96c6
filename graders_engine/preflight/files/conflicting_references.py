"""One prompt has different right answers.

Why: an answer that earns the full mark in one row earns nothing in the other: the model learns to guess.

Example: the same question is there twice, labelled `spam` by one person and `ham` by another.

To mend it: decide which answer is right, and leave the other row out.

Ignore it when: the field that differs is no answer, such as an identifier that the grader reads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from graders_engine.language import strict_json
from graders_engine.preflight.check import Check
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.files.read_fields import MISSING, Field, field_of, fields_read
from graders_engine.preflight.findings import Finding, Location
from graders_engine.preflight.inputs import Inputs

_SHOWN = 5


class Answers:
    """The values of the fields that the grader reads, by prompt."""

    def __init__(self, fields: dict[str, Field]) -> None:
        self.fields = fields
        self.first: dict[int, tuple[int, bytes]] = {}
        self.pairs: list[tuple[int, int]] = []
        self.count = 0

    def add(self, row: TrainingRow) -> None:
        """See a row."""
        if row.unreadable or not row.prompt_key or not self.fields:
            return
        values = [field(row.item) for field in self.fields.values()]
        known = [None if value is MISSING else value for value in values]
        digest = hashlib.blake2b(strict_json.encode(known), digest_size=8).digest()
        line, before = self.first.setdefault(row.prompt_key, (row.line, digest))
        if before == digest:
            return
        self.count += 1
        if len(self.pairs) < _SHOWN:
            self.pairs.append((line, row.line))


def _answers(inputs: Inputs) -> Answers:
    fields = fields_read(inputs.grader)
    name = inputs.options.reference_field
    if name is not None:
        fields.setdefault(f"item.{name}", field_of(name))
    return Answers(fields)


def _ask(inputs: Inputs) -> Iterator[Finding]:
    file = inputs.train
    if file is None:
        return
    seen = file.collected(Answers)
    if not seen.count:
        return
    first, other = seen.pairs[0]
    yield Finding(
        "conflicting-references",
        "warning",
        f"{seen.count} training rows ask what an earlier row asks, with other values in {_named(seen)}: "
        f"such as lines {first} and {other}.",
        "Decide which of the answers is right, and leave the other row out.",
        where=[Location(file.name, line) for pair in seen.pairs for line in pair],
        rows=seen.count,
        numbers={"conflicting": seen.count},
    )


def _named(seen: Answers) -> str:
    return ", ".join(f"`{name}`" for name in seen.fields)


CHECK = Check(
    "conflicting-references", "files", _ask, frozenset({"train", "grader"}), _answers,
    silenced_by=("not-jsonl", "bad-messages"),
)  # fmt: skip
