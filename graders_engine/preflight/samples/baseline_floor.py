"""The base model earns next to nothing.

Why: training needs answers that are better than others; where all earn nothing, there is nothing to prefer.

Example: 200 answers to 25 prompts, all of which earn 0.

To mend it: reward steps on the way (a partial score), make the rows easier, or let a model do some
supervised training first.

Ignore it when: the training is long and its groups are large: a task with next to no success at first has
been learned before.
"""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.preflight.check import Check
from graders_engine.preflight.findings import Finding, Location
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.samples.baseline import ROOTS, Baseline, share_ends, with_baseline
from graders_engine.preflight.showing import number, percent

ID = "baseline-floor"
FEWEST = 10
"""With fewer samples, that all are alike says little."""


@with_baseline
def _ask(inputs: Inputs, baseline: Baseline) -> Iterator[Finding]:
    mean, _, high = share_ends(baseline)
    count = len(baseline.samples)
    lowest = baseline.all_lowest and count >= FEWEST
    if not lowest and high >= inputs.options.limit("baseline_floor"):
        return
    earned = f"{number(baseline.mean.value)} on average over {baseline.mean.groups} prompts"
    message = (
        f"The base model earns {earned}: {percent(mean)} of the scale, and at most {percent(high)}."
    )
    if lowest:
        bound = percent(min(3 / count, 1.0))
        message = (
            f"All {count} samples earn the lowest reward, {earned}: fewer than {bound} earn more."
        )
    yield Finding(
        ID,
        "warning",
        message,
        "Reward steps on the way, or make the rows easier.",
        where=[Location(inputs.samples_file)],
        numbers={"mean": baseline.mean.value, "share": mean, "high": high, "samples": count},
        silences=True,
    )


CHECK = Check(
    ID, "samples", _ask, frozenset({"samples", "grader"}),
    silenced_by=ROOTS,
)  # fmt: skip
