"""The base model earns nearly everything already.

Why: there is little left to learn, and most groups of answers are all right alike.

Example: a mean of 0.96 of 1 over 60 prompts.

To mend it: take harder rows, or grade more strictly.

Ignore it when: the last few per cent are what the job is for.
"""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.preflight.check import Check
from graders_engine.preflight.findings import Finding, Location
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.samples.baseline import ROOTS, Baseline, share_ends, with_baseline
from graders_engine.preflight.samples.baseline_floor import FEWEST
from graders_engine.preflight.showing import number, percent


@with_baseline
def _ask(inputs: Inputs, baseline: Baseline) -> Iterator[Finding]:
    mean, low, _ = share_ends(baseline)
    count = len(baseline.samples)
    full = baseline.all_full and count >= FEWEST
    if not full and low <= inputs.options.limit("baseline_ceiling"):
        return
    yield Finding(
        "baseline-ceiling",
        "warning",
        f"The base model earns {number(baseline.mean.value)} of {number(baseline.scale.full)} on average "
        f"({percent(mean)} of the scale) over {baseline.mean.groups} prompts: little is left to learn.",
        "Take harder rows, or grade more strictly.",
        where=[Location(inputs.samples_file)],
        numbers={"mean": baseline.mean.value, "share": mean, "low": low, "samples": count},
        silences=True,
    )


CHECK = Check(
    "baseline-ceiling", "samples", _ask, frozenset({"samples", "grader"}),
    silenced_by=ROOTS,
)  # fmt: skip
