"""Prompts of the validation file stand in the training file.

Why: the validation reward then measures what was learned by heart, and not what holds for other prompts.

Example: both files were drawn from one list, and the draws overlap.

To mend it: leave the rows that are named out of the training file.

Ignore it when: the job only has to do well on these very prompts.
"""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.preflight.check import Check
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.files.duplicate_rows import PromptLines
from graders_engine.preflight.findings import Finding, Location
from graders_engine.preflight.inputs import Inputs

_SHOWN = 5
_GRAM = 5
_COMPARED, _CHARS = 500, 1_000
"""Training prompts that are compared with drawn validation prompts, and their characters."""


class FirstPrompts:
    """The line of each prompt, and the beginnings of the first ones, for comparison."""

    def __init__(self) -> None:
        self.lines = PromptLines()
        self.prompts: list[tuple[int, str]] = []

    def add(self, row: TrainingRow) -> None:
        """See a row."""
        self.lines.add(row)
        if not row.unreadable and row.prompt_key and len(self.prompts) < _COMPARED:
            self.prompts.append((row.line, row.normalized_prompt[:_CHARS]))


def grams(text: str) -> frozenset[str]:
    """The different stretches of five characters of a text."""
    return frozenset(text[at : at + _GRAM] for at in range(max(len(text) - _GRAM + 1, 1)))


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """The share of what two sets have in common."""
    return len(first & second) / len(first | second)


def _ask(inputs: Inputs) -> Iterator[Finding]:
    train, validation = inputs.train, inputs.validation
    if train is None or validation is None:
        return
    trained, held_out = (file.collected(FirstPrompts).lines.first for file in (train, validation))
    same = [(line, trained[key]) for key, line in held_out.items() if key in trained]
    if same:
        line, other = same[0]
        yield Finding(
            "overlap", "warning",
            f"{len(same)} of {len(held_out)} different validation prompts stand in the training file, such "
            f"as line {line} ({train.name}:{other}).",
            "Leave them out of the training file.",
            where=[Location(validation.name, line) for line, _ in same[:_SHOWN]], rows=len(same),
            numbers={"overlapping": len(same), "prompts": len(held_out)},
        )  # fmt: skip
    elif near := _near(inputs):
        line, other = near[0]
        yield Finding(
            "overlap", "info",
            f"{len(near)} of {len(validation.drawn)} validation prompts that were compared are nearly those "
            f"of training rows, such as line {line} ({train.name}:{other}).",
            "Make sure that they are other questions, and not copies with a slip.",
            where=[Location(validation.name, line) for line, _ in near[:_SHOWN]], rows=len(near),
        )  # fmt: skip


def _near(inputs: Inputs) -> list[tuple[int, int]]:
    """(line in the validation file, line in the training file) of prompts that are nearly the same."""
    if inputs.train is None or inputs.validation is None:
        return []
    limit = inputs.options.limit("near_duplicate")
    trained = [(line, grams(text)) for line, text in inputs.train.collected(FirstPrompts).prompts]
    found = []
    for row in inputs.validation.drawn:
        ours = grams(row.normalized_prompt[:_CHARS])
        match = next((line for line, theirs in trained if jaccard(ours, theirs) >= limit), 0)
        if match and row.prompt_key:
            found.append((row.line, match))
    return found


CHECK = Check(
    "overlap", "files", _ask, frozenset({"train", "validation"}), lambda inputs: FirstPrompts(),
    silenced_by=("not-jsonl", "bad-messages", "no-validation-file"),
)  # fmt: skip
