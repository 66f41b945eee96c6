"""The reward has few steps, and groups of answers often earn all the same.

Why: a reward with more steps tells more pairs of answers apart, and so teaches more.

Example: right or wrong, where most prompts are always solved.

To mend it: add a partial score, such as the share of fields that are right.

Ignore it when: right or wrong is all that counts, and enough groups differ.
"""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.preflight.check import Check
from graders_engine.preflight.findings import Finding, Location
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.reward_scale import SAME
from graders_engine.preflight.samples.baseline import GROUP_ROOTS, Baseline, with_baseline
from graders_engine.preflight.showing import percent

_FEW, _ENOUGH = 3, 0.8


@with_baseline
def _ask(inputs: Inputs, baseline: Baseline) -> Iterator[Finding]:
    steps = len({round(reward / SAME) for reward in baseline.rewards.tolist()})
    found = baseline.signal
    if found is None or steps >= _FEW or found.share.value >= _ENOUGH:
        return
    yield Finding(
        "coarse-reward", "info",
        f"The samples earn {steps} different rewards, and in {percent(found.share.value)} of groups they "
        "differ: a reward with more steps would tell more answers apart.",
        "Add a partial score.", where=[Location(inputs.samples_file)],
        numbers={"rewards": steps, "signal": found.share.value},
    )  # fmt: skip


CHECK = Check(
    "coarse-reward", "samples", _ask, frozenset({"samples", "grader"}),
    silenced_by=GROUP_ROOTS,
)  # fmt: skip
