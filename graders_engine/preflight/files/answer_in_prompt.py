"""The right answer stands in the prompt, announced as such.

Why: the model learns to copy it, and is rewarded without solving anything.

Example: the prompt ends with `Answer: 42`, left over from a supervised data set; an assistant's turn before
the last message is the answer.

To mend it: take the answer out of the messages, and leave it in a field of its own.

Ignore it when: finding the answer in the text is the task, and the text happens to announce it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from graders_engine.preflight.check import Check
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.files.read_fields import MISSING, Field, field_of, fields_read
from graders_engine.preflight.findings import Finding, Location
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.references import GUESSED, as_text
from graders_engine.preflight.showing import percent

_MARKERS = (
    r"\b(?:answer|solution|expected|label|gold|correct)\w*"
    r"(?:\s+(?:answer|output|result|value|label|solution))?(?:\W{1,3}|\s*:?\s+(?:is|are|=)\s*:?\s*)"
)
_MAX_CHARS = 2_000
"""A longer value is not looked for."""
_FEWEST = 3
"""With fewer different answers, `Answer yes or no.` would be a leak."""
_SHOWN = 3


class Leaks:
    """How often the values of each field that may be the answer stand in the prompt behind a marker."""

    def __init__(self, fields: dict[str, Field]) -> None:
        self.fields = fields
        self.seen = dict.fromkeys(fields, 0)
        self.hits = dict.fromkeys(fields, 0)
        self.values: dict[str, set[str]] = {name: set() for name in fields}
        self.lines: dict[str, list[int]] = {name: [] for name in fields}

    def add(self, row: TrainingRow) -> None:
        """See a row."""
        if row.unreadable or not row.texts:
            return
        prompt = row.prompt.lower()
        turns = [text.strip().lower() for role, text in row.texts if role == "assistant"]
        for name, field in self.fields.items():
            value = field(row.item)
            if value is MISSING or value is None:
                continue
            answer = as_text(value).strip().lower()
            if not answer or len(answer) > _MAX_CHARS:
                continue
            self.seen[name] += 1
            if answer in turns or (answer in prompt and announced(answer, prompt)):
                self.hits[name] += 1
                if len(self.values[name]) < _FEWEST:
                    self.values[name].add(answer)
                if len(self.lines[name]) < _SHOWN:
                    self.lines[name].append(row.line)


def announced(answer: str, prompt: str) -> bool:
    """Whether an answer stands in a prompt right behind a word that announces it; both in lower case."""
    return re.search(rf"{_MARKERS}{re.escape(answer)}(?!\w|[.,]\d)", prompt) is not None


def _leaks(inputs: Inputs) -> Leaks:
    fields = fields_read(inputs.grader)
    named = (inputs.options.reference_field,) if inputs.options.reference_field else GUESSED
    for name in named:
        fields.setdefault(f"item.{name}", field_of(name))
    return Leaks(fields)


def _ask(inputs: Inputs) -> Iterator[Finding]:
    file = inputs.train
    if file is None:
        return
    seen = file.collected(Leaks)
    for name, hits in seen.hits.items():
        share = hits / seen.seen[name] if seen.seen[name] else 0.0
        if len(seen.values[name]) < _FEWEST:
            continue
        yield Finding(
            "answer-in-prompt",
            "info" if share < inputs.options.limit("answer_in_prompt") else "warning",
            f"In {hits} of {seen.seen[name]} training rows ({percent(share)}) the prompt announces the "
            f"value of `{name}`.",
            "Take the answer out of the messages.",
            where=[Location(file.name, line, "messages") for line in seen.lines[name]],
            rows=hits,
            numbers={"rows": hits, "share": share},
        )
        return  # other fields with the same values are the same leak


CHECK = Check(
    "answer-in-prompt", "files", _ask, frozenset({"train"}), _leaks,
    silenced_by=("not-jsonl", "bad-messages"),
)  # fmt: skip
