"""Longer answers, or shorter ones, earn more than others to the same prompt.

Why: length is the easiest thing to change, and a model changes that first.

Example: a judge that likes long answers; a limit that cuts off what makes an answer right.

To mend it: tell the judge that length does not count, or take a penalty for length out of the formula.

Ignore it when: right answers are in fact longer, as those with all of their reasons are.
"""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.preflight.attacks.results import earned
from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.sample_parts import text_of
from graders_engine.preflight.samples.baseline import Baseline, centred, with_baseline
from graders_engine.preflight.showing import number

_FEWEST = 100
_STRONG = 0.5


@with_baseline
def _ask(inputs: Inputs, baseline: Baseline) -> Answer:
    if len(baseline.samples) < _FEWEST:
        return NotChecked(f"fewer than {_FEWEST} samples have a reward")
    import numpy as np

    from graders_engine.statistics.correlation import spearman

    chars = np.array([float(len(text_of(sample.sample))) for sample in baseline.samples])
    found = spearman(baseline.centred, centred(chars, baseline.prompts))
    if found is None:
        return NotChecked("among answers to one prompt, rewards or lengths do not differ")
    return _findings(inputs, baseline, found)


def _findings(inputs: Inputs, baseline: Baseline, found: float) -> Iterator[Finding]:
    if abs(found) <= _STRONG:
        return
    attack = "filler" if found > 0 else "empty"
    pays = any(
        one.mean > baseline.mean.value for one in earned(inputs) if one.attack.name == attack
    )
    more = "longer" if found > 0 else "shorter"
    too = f", and {_WHAT[attack]} earns more than the mean" if pays else ""
    yield Finding(
        "follows-length", "warning" if pays else "info",
        f"Among answers to one prompt, {more} ones earn more (rank correlation {number(found)} over "
        f"{len(baseline.samples)} samples){too}.",
        "Make sure that length itself does not count.", where=[Location(inputs.samples_file)],
        numbers={"correlation": found, "samples": len(baseline.samples)},
    )  # fmt: skip


_WHAT = {"filler": "a long text about nothing", "empty": "an empty answer"}

CHECK = Check(
    "follows-length", "samples", _ask, frozenset({"samples", "grader"}),
    silenced_by=("sample-unread", "samples-unmatched", "grader-fails", "constant-reward", "unstable"),
)  # fmt: skip
