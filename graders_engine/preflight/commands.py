"""Commands that show a finding, to be copied into a shell."""

from __future__ import annotations

import json
import shlex
from typing import Any

from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.references import Sample

MAX_CHARS = 800
"""A longer command is not shown: nobody would copy it."""


def run_command(inputs: Inputs, item: Any, sample: Sample = "some answer") -> str:
    """The `graders run` that grades a sample and shows how.

    It is empty if it would be too long to be copied, or if the grader has no file.
    """
    if not inputs.grader_file:
        return ""
    as_json = json.dumps(sample, ensure_ascii=False)
    output = ["--model-sample", sample] if isinstance(sample, str) else ["--sample", as_json]
    words = ["graders", "run", "--grader", f"@{inputs.grader_file}"]
    words += ["--item", json.dumps(item, ensure_ascii=False), *output, "--explain"]
    command = shlex.join(words)
    return command if len(command) <= MAX_CHARS and "\n" not in command else ""
