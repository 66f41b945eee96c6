"""The best of a group of answers is hardly better than the average one.

Why: training moves the model towards its better answers; where they are little better, it moves little.

Example: a mean of 0.52, and of the best of 8 answers 0.55.

To mend it: give a reward that tells good answers from better ones, or sample with a higher temperature.

Ignore it when: small steps are enough, and the training is long.
"""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.samples.baseline import GROUP_ROOTS, Baseline, with_baseline
from graders_engine.preflight.showing import number

_LEAST, _HIGH = 0.05, 0.90


@with_baseline
def _ask(inputs: Inputs, baseline: Baseline) -> Answer:
    size = min([inputs.options.group_size, *map(len, baseline.by_prompt.values())])
    if size < 2:
        return NotChecked("some prompts have one sample: groups cannot be judged")
    return _findings(inputs, baseline, size)


def _findings(inputs: Inputs, baseline: Baseline, size: int) -> Iterator[Finding]:
    from graders_engine.statistics.samples import best_of

    best, mean = best_of(baseline.rewards, baseline.prompts, size), baseline.mean.value
    if best is None or baseline.scale.share(mean) >= _HIGH:
        return
    room = best.value - mean
    if room >= _LEAST * baseline.scale.width:
        return
    yield Finding(
        "little-headroom", "info",
        f"The best of {size} answers earns {number(best.value)} on average, and any answer {number(mean)}.",
        "Give a reward that tells good answers from better ones.", where=[Location(inputs.samples_file)],
        numbers={"best": best.value, "mean": mean, "group_size": size},
    )  # fmt: skip


CHECK = Check(
    "little-headroom", "samples", _ask, frozenset({"samples", "grader"}),
    silenced_by=GROUP_ROOTS,
)  # fmt: skip
