"""Many samples were cut off by the limit on their length.

Why: a cut-off answer is graded as it stands, mostly with nothing: the reward is then about length.

Example: 30 of 100 samples have the finish reason `length`.

To mend it: allow more tokens, or ask for shorter answers.

Ignore it when: the job itself has the same limit, and answers are to become shorter.
"""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.outcome import Flag
from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.samples.baseline import why_none
from graders_engine.preflight.showing import percent

_MOST = 0.30


def _ask(inputs: Inputs) -> Answer:
    if not inputs.samples:
        return NotChecked(why_none(inputs))
    return _findings(inputs)


def _findings(inputs: Inputs) -> Iterator[Finding]:
    cut = [s for s in inputs.samples if Flag.TRUNCATED_OBSERVATION.value in s.flags]
    share = len(cut) / len(inputs.samples)
    if share <= inputs.options.limit("truncated_samples"):
        return
    tail = ": the reward is about length" if share > _MOST else ""
    yield Finding(
        "truncated-samples", "warning",
        f"{len(cut)} of {len(inputs.samples)} samples ({percent(share)}) were cut off at their limit{tail}.",
        "Allow more tokens, or ask for shorter answers.",
        where=[Location(inputs.samples_file, sample.line) for sample in cut[:5]], rows=len(cut),
        numbers={"cut_off": len(cut), "share": share},
    )  # fmt: skip


CHECK = Check(
    "truncated-samples",
    "samples",
    _ask,
    frozenset({"samples", "grader"}),
    silenced_by=("samples-unmatched",),
)
