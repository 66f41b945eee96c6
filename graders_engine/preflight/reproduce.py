"""Commands that show a finding, to be copied into a shell."""

from __future__ import annotations

import json
import shlex

from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.trials import Ask

MAX_CHARS = 1_200
"""A longer command is not copied by anybody."""


def run_command(inputs: Inputs, ask: Ask) -> str:
    """The `graders run` that grades this sample; empty if it would be too long, or the grader has no file."""
    if not inputs.grader_file:
        return ""
    parts = ["graders", "run", "--grader", f"@{inputs.grader_file}"]
    parts += ["--item", json.dumps(ask.item, ensure_ascii=False)]
    if isinstance(ask.sample, str):
        parts += ["--model-sample", ask.sample]
    else:
        parts += ["--sample", json.dumps(ask.sample, ensure_ascii=False)]
    command = shlex.join(parts)
    fits = len(command) <= MAX_CHARS and "\n" not in command
    return command if fits else ""


def attack_command(inputs: Inputs, name: str) -> str:
    """The `graders attack` that shows an attack; empty if the grader has no file."""
    if not inputs.grader_file or inputs.train is None:
        return ""
    parts = ["graders", "attack", "--grader", f"@{inputs.grader_file}", "--data", inputs.train.name]
    options = inputs.options
    if options.reference_field is not None:
        parts += ["--reference-field", options.reference_field]
    if options.reference_template is not None:
        parts += ["--reference-template", options.reference_template]
    return shlex.join([*parts, "--only", name])
