"""Commands that show a finding, to be copied into a shell."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.references import Sample

MAX_CHARS = 800
"""A longer command is not shown: nobody would copy it."""


def run_command(
    inputs: Inputs, item: Any, sample: Sample = "some answer", *more: str, again: bool = False
) -> str:
    """The `graders run` that grades a sample and shows how.

    Args:
        inputs: the grader, and the flags that it is run with.
        item: the row's item.
        sample: the model's output.
        more: further flags.
        again: whether to grade it several times, to see whether the rewards differ.
    """
    if isinstance(sample, str) and (sample == "-" or sample.startswith("@")):
        sample = {"output_text": sample}  # as a text, the flag would take it for a place
    as_json = json.dumps(sample, ensure_ascii=False)
    output = ["--model-sample", sample] if isinstance(sample, str) else ["--sample", as_json]
    how = ["--field", "reward"] if again else ["--explain"]
    words = ["--item", json.dumps(item, ensure_ascii=False), *output, *more, *how]
    command = command_of(inputs, "run", words)
    return f"for n in 1 2 3 4; do {command}; done" if command and again else command


def command_of(inputs: Inputs, name: str, words: Sequence[str]) -> str:
    """A command for the grader, with the flags of the engine; empty if nobody would copy it."""
    grader = _grader(inputs)
    command = shlex.join(["graders", name, "--grader", grader, *words, *inputs.options.flags])
    return command if grader and len(command) <= MAX_CHARS and "\n" not in command else ""


def _grader(inputs: Inputs) -> str:
    """The grader as a flag's value: its file, or the grader as JSON; empty if it holds what is hidden."""
    if inputs.grader_file:
        return f"@{inputs.grader_file}"
    compiled = inputs.grader.compiled if inputs.grader else None
    if compiled is None or compiled.masked != compiled.given:
        return ""
    return json.dumps(compiled.given, ensure_ascii=False)
