"""Too many groups of answers earn all the same: there is nothing to learn from them.

Why: group-relative training (GRPO and its kin) compares the answers of one group; where all rewards are
equal, the group teaches nothing.

Example: each prompt is either always solved or never.

To mend it: take rows of middling difficulty, or give a reward with more steps. Larger groups help little.

Ignore it when: the trainer draws such groups again (as DAPO does), and the time for that is there.
"""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.reward_scale import SAME
from graders_engine.preflight.samples.baseline import GROUP_ROOTS, Baseline, with_baseline
from graders_engine.preflight.showing import percent
from graders_engine.statistics.samples import Signal


@with_baseline
def _ask(inputs: Inputs, baseline: Baseline) -> Answer:
    found = baseline.signal
    if found is None:
        return NotChecked("each prompt has one sample: groups cannot be judged")
    return _findings(inputs, baseline, found)


def _findings(inputs: Inputs, baseline: Baseline, found: Signal) -> Iterator[Finding]:
    share, limit = found.share, inputs.options.limit("signal")
    high = share.value if share.high is None else share.high
    if share.value >= limit:
        return
    dead = [
        rewards for rewards in baseline.by_prompt.values() if max(rewards) - min(rewards) <= SAME
    ]
    full = sum(rewards[0] >= baseline.scale.full - SAME for rewards in dead)
    lowest = sum(rewards[0] <= baseline.scale.lowest + SAME for rewards in dead)
    low = share.value if share.low is None else share.low
    yield Finding(
        "no-signal",
        "warning" if high < limit else "info",
        f"In {percent(share.value)} of groups of {found.size} the rewards differ (95 % interval "
        f"{percent(low)} to {percent(high)}): the others teach nothing. Of "
        f"{len(baseline.by_prompt)} prompts, {lowest} always earn the lowest reward, and {full} "
        "always full marks.",
        "Take rows of middling difficulty, or give a reward with more steps.",
        where=[Location(inputs.samples_file)],
        numbers={
            "signal": share.value, "low": low, "high": high, "group_size": found.size,
            "prompts": share.rows, "always_lowest": lowest, "always_full": full,
        },
        details=(
            [f"{found.smaller} prompts have fewer samples and count as smaller groups; larger ones have more"]
            if found.smaller
            else ()
        ),
    )  # fmt: skip


CHECK = Check(
    "no-signal", "samples", _ask, frozenset({"samples", "grader"}),
    silenced_by=GROUP_ROOTS,
)  # fmt: skip
