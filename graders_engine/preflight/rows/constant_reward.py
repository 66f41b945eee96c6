"""Every answer earns the same reward.

Why: training learns from differences between the rewards of answers to one prompt; without any, it learns
nothing.

Example: a judge that is asked about `{{item.question}}` alone; a formula such as `max(exact, 1)`.

To mend it: see one answer graded with the printed command, and look for a part that is always full, a limit
that clips everything, or a comparison that can never be true.

Ignore it when: never, unless all answers that were tried are in fact equally good.
"""

from __future__ import annotations

from collections.abc import Iterator

from graders_engine.preflight.check import BUDGET_SPENT, Answer, Check
from graders_engine.preflight.findings import Finding, NotChecked
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.reward_scale import SAME
from graders_engine.preflight.showing import alike, earned, place_of, see

_NEVER_READ = "Find the part that does not depend on the answer; run the command to see one graded."
_NEVER_RIGHT = (
    "Run the command to see a right answer graded: compare what the grader reads with what the row says, "
    "and look for a comparison that can never be true."
)


def _ask(inputs: Inputs) -> Answer:
    known = inputs.rewards
    if len(known) < 2:
        return NotChecked("fewer than two answers have a reward")
    if max(known) - min(known) > SAME:
        return ()
    tried = {name for name, trials in inputs.trials.items() if trials}
    if tried == {"references"} and not inputs.samples:
        return NotChecked(BUDGET_SPENT if inputs.stopped else "only right answers were graded")
    right = inputs.sure_references or bool(inputs.samples)
    full = inputs.grader.range if inputs.grader else None
    high = full is not None and known[0] - full.low >= full.width / 2 and full.width > SAME
    if not right and not high:  # nothing that was tried could have earned more
        return NotChecked(
            "no answer that might be right was graded: every one earns the lowest reward"
        )
    return _finding(inputs, known)


def _finding(inputs: Inputs, known: list[float]) -> Iterator[Finding]:
    tried = [name for name, trials in inputs.trials.items() if trials]
    if inputs.samples:
        tried.append("samples")
    full = inputs.grader.range if inputs.grader else None
    lowest = known[0] <= (full.low if full else 0.0) + SAME
    first = next((trials[0] for trials in inputs.trials.values() if trials), None)
    yield Finding(
        "constant-reward",
        "warning",
        f"All {alike(known)}.",
        _NEVER_RIGHT if lowest else _NEVER_READ,
        where=[place_of(inputs, first)] if first else (),
        numbers={"reward": known[0], "graded": len(known), "tried": tried},
        details=[earned(first)] if first else (),
        see=see(inputs, first) if first else "",
        silences=True,
    )


CHECK = Check(
    "constant-reward",
    "rows",
    _ask,
    frozenset({"grader"}),
    silenced_by=("missing-field", "sample-unread", "grader-fails"),
)
