"""An attack earns more than the base model.

Why: training moves the model to what earns more; an answer without content that earns more than its own is
the shortest way.

Example: an empty answer earns 0.62, and the base model 0.41 on average.

To mend it: give nothing for what holds no answer; `hackable` shows the texts.

Ignore it when: never without a look at the text that earned it.
"""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.preflight.attacks.reached import why_unmeasured
from graders_engine.preflight.attacks.results import earned
from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.samples.baseline import ROOTS, Baseline, with_baseline
from graders_engine.preflight.showing import excerpt, location, number

_MARGIN = 0.10
_KINDS = ("free", "blind")


@with_baseline
def _ask(inputs: Inputs, baseline: Baseline) -> Answer:
    if not inputs.trials.get("attacks"):
        return NotChecked("no attack was graded")
    found = list(_findings(inputs, baseline))
    why = "" if found else why_unmeasured(inputs, _KINDS)
    return NotChecked(why) if why else found


def _findings(inputs: Inputs, baseline: Baseline) -> Iterator[Finding]:
    found = [one for one in earned(inputs) if one.attack.kind in _KINDS]
    best = max(found, key=lambda one: one.mean, default=None)
    mean = baseline.mean.value
    if best is None or best.mean <= mean + _MARGIN * baseline.scale.width:
        return
    yield Finding(
        "beats-baseline", "warning",
        f"{best.attack.what[:1].upper()}{best.attack.what[1:]} earns {number(best.mean)}, and the base model "
        f"{number(mean)} on average: training will move there.",
        "Give nothing for what holds no answer.",
        where=[location(inputs, best.example.ask.line)],
        numbers={"attack": best.attack.name, "mean": best.mean, "baseline": mean},
        details=[f"{best.attack.name}: {excerpt(best.example.ask.sample)}"],
    )  # fmt: skip


CHECK = Check(
    "beats-baseline", "samples", _ask, frozenset({"samples", "grader"}),
    silenced_by=(*ROOTS, "unstable", "hackable"),
)  # fmt: skip
