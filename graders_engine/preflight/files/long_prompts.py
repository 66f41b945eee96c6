"""Prompts are longer than what the model can read.

Why: the service refuses or cuts such rows; what is cut may be the question.

Example: a contract of 1,000,000 characters, about 250,000 tokens, for a model with 200,000.

To mend it: shorten the prompt to what the question needs, or leave the row out.

Ignore it when: the text is in a language or form with more characters to a token than four.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from typing import Any

from graders_engine.preflight.check import Check
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.findings import Finding, Location
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.request.model_cannot_train import base_of, model_table
from graders_engine.preflight.rows.slow_grader import quantile

_CHARS_PER_TOKEN = 4
"""Of English text, by a rule of thumb of the API's help pages."""
_USUAL_TOKENS = 200_000
"""Context of the models that are trained by reinforcement, where the model is not known."""
_SHOWN = 5


class PromptLengths:
    """The characters of each prompt."""

    def __init__(self) -> None:
        self.chars = array("I")
        self.lines = array("I")

    def add(self, row: TrainingRow) -> None:
        """See a row."""
        if not row.unreadable and row.texts:
            self.chars.append(min(len(row.prompt), 2**32 - 1))
            self.lines.append(row.line)


def context_of(job: Mapping[str, Any] | None) -> int:
    """The tokens that the job's model can read."""
    base = base_of(str((job or {}).get("model", "")))
    table: dict[str, int] = model_table()["context_tokens"]
    return next((tokens for name, tokens in table.items() if base.startswith(name)), _USUAL_TOKENS)


def _ask(inputs: Inputs) -> Iterator[Finding]:
    most = context_of(inputs.job)
    for file in inputs.files:
        seen = file.collected(PromptLengths)
        long = [
            (line, chars)
            for line, chars in zip(seen.lines, seen.chars, strict=True)
            if chars / _CHARS_PER_TOKEN > most
        ]
        if long:
            line, chars = max(long, key=lambda pair: pair[1])
            yield Finding(
                "long-prompts", "warning",
                f"{len(long)} prompts of {file.name} are longer than the model's {most:,} tokens, the "
                f"longest (line {line}) with {chars:,} characters.",
                "Shorten them, or leave these rows out.",
                where=[Location(file.name, line) for line, _ in long[:_SHOWN]], rows=len(long),
                numbers={"rows": len(long), "max_chars": chars, "context_tokens": most},
            )  # fmt: skip


def lengths(inputs: Inputs) -> Any:
    """The characters of the training prompts, for the report."""
    if inputs.train is None or inputs.train.fault or "long-prompts" not in inputs.collecting:
        return None
    chars = inputs.train.collected(PromptLengths).chars
    if not chars:
        return None
    return {"p50": quantile(chars, 0.5), "p95": quantile(chars, 0.95), "max": max(chars)}


CHECK = Check(
    "long-prompts", "files", _ask, frozenset({"train"}), lambda inputs: PromptLengths(),
    silenced_by=("not-jsonl",),
)  # fmt: skip
