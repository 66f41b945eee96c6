"""The last message of the user holds nothing.

Why: the model is asked nothing, and every answer is graded all the same.

Example: `{"role": "user", "content": ""}`; a list of content parts that is empty.

To mend it: leave these rows out, or look for what was lost when the file was written.

Ignore it when: the question stands in an earlier message, on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graders_engine.preflight.check import Check
from graders_engine.preflight.data_file import TrainingRow, message_text
from graders_engine.preflight.findings import Finding, Location
from graders_engine.preflight.inputs import Inputs

_SHOWN = 5
_PARTS = ("image_url", "input_image", "input_audio", "audio", "file", "input_file", "image")


class EmptyPrompts:
    """Counts the rows whose last user message is empty."""

    def __init__(self) -> None:
        self.count = 0
        self.lines: list[int] = []

    def add(self, row: TrainingRow) -> None:
        """See a row."""
        users = [m for m in row.messages if isinstance(m, Mapping) and m.get("role") == "user"]
        if not users or not is_empty(users[-1]):
            return
        self.count += 1
        if len(self.lines) < _SHOWN:
            self.lines.append(row.line)


def is_empty(message: Mapping[str, Any]) -> bool:
    """Whether a message has no text, and no image, audio or file either."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [content]
    if any(isinstance(part, Mapping) and part.get("type") in _PARTS for part in parts):
        return False
    return not message_text(message).strip()


def _ask(inputs: Inputs) -> Iterator[Finding]:
    for file in inputs.files:
        seen = file.collected(EmptyPrompts)
        if seen.count:
            yield Finding(
                "empty-prompt", "warning",
                f"In {seen.count} of {file.rows} rows of {file.name} the last user message is empty.",
                "Leave these rows out, or look for the text that was lost.",
                where=[Location(file.name, line, "messages") for line in seen.lines], rows=seen.count,
                numbers={"rows": seen.count},
            )  # fmt: skip


CHECK = Check(
    "empty-prompt", "files", _ask, frozenset({"train"}), lambda inputs: EmptyPrompts(),
    silenced_by=("not-jsonl", "bad-messages"),
)  # fmt: skip
