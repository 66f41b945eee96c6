"""Training rows ask the same.

Why: a prompt that stands there twice is trained on twice as often; the rows are fewer than they seem.

Example: two exports of one data set were joined, and half of the rows are there twice.

To mend it: keep one row of each prompt.

Ignore it when: the repetition is meant, to give some prompts more weight.
"""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.preflight.check import Check
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.findings import Finding, Location
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.showing import percent

_SHOWN = 5


class PromptLines:
    """The first line of each different prompt, and which lines repeat one."""

    def __init__(self) -> None:
        self.first: dict[int, int] = {}
        self.repeated = 0
        self.pairs: list[tuple[int, int]] = []

    def add(self, row: TrainingRow) -> None:
        """See a row."""
        if row.unreadable or not row.prompt_key:
            return
        line = self.first.setdefault(row.prompt_key, row.line)
        if line == row.line:
            return
        self.repeated += 1
        if len(self.pairs) < _SHOWN:
            self.pairs.append((line, row.line))


def _ask(inputs: Inputs) -> Iterator[Finding]:
    file = inputs.train
    if file is None:
        return
    seen = file.collected(PromptLines)
    if not seen.repeated:
        return
    share = seen.repeated / file.rows
    grave = share > inputs.options.limit("duplicate_rows")
    first, again = seen.pairs[0]
    yield Finding(
        "duplicate-rows",
        "warning" if grave else "info",
        f"{seen.repeated} of {file.rows} training rows ({percent(share)}) ask what an earlier row asks, such "
        f"as line {again} what line {first} does.",
        "Keep one row of each prompt.",
        where=[Location(file.name, line) for _, line in seen.pairs],
        rows=seen.repeated,
        numbers={"repeated": seen.repeated, "rows": file.rows, "share": share},
    )


CHECK = Check(
    "duplicate-rows", "files", _ask, frozenset({"train"}), lambda inputs: PromptLines(),
    silenced_by=("not-jsonl", "bad-messages"),
)  # fmt: skip
