"""The grader is not one that can be used: the service refuses it, and so does this engine.

Why: a job with such a grader fails while its files are validated, or every reward is 0.0.

Example: `{"type": "string_check", "input": "{{sample.output_txt}}", …}` names a key that samples do not have.

To mend it: change what each line names. `graders validate grader.json` shows the same mistakes.

Ignore it when: never; nothing else about the grader can be checked.
"""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.preflight.check import Check
from graders_engine.preflight.findings import Finding, Location
from graders_engine.preflight.inputs import Inputs


def _ask(inputs: Inputs) -> Iterator[Finding]:
    for mistake in inputs.mistakes:
        yield Finding(
            "invalid-grader",
            "error",
            mistake.message,
            mistake.hint,
            where=[Location(inputs.grader_file, 0, mistake.param or "")],
            details=mistake.detail.splitlines(),
        )


CHECK = Check("invalid-grader", "grader", _ask)
