"""The reward has few steps, and groups of answers often earn all the same.

Why: a reward with more steps tells more pairs of answers apart, and so teaches more.

Example: right or wrong, where most prompts are always solved.

To mend it: add a partial score, such as the share of fields that are right.

Ignore it when: right or wrong is all that counts, and enough groups differ.
"""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.reward_scale import SAME
from graders_engine.preflight.samples.baseline import Baseline, baseline_of
from graders_engine.preflight.showing import percent

_FEW, _ENOUGH = 3, 0.8


def _ask(inputs: Inputs) -> Answer:
    baseline = baseline_of(inputs)
    if baseline is None:
        return NotChecked("no sample has a reward")
    return _findings(inputs, baseline)


def _findings(inputs: Inputs, baseline: Baseline) -> Iterator[Finding]:
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
    silenced_by=(
        "missing-field", "sample-unread", "samples-unmatched", "grader-fails", "constant-reward",
        "baseline-floor", "baseline-ceiling",
    ),
)  # fmt: skip
