"""One part of the multi is nearly all of the reward; the others decide only between equals.

Why: what the other parts look at is hardly trained. That may be meant, but is easily overlooked in
a formula with many numbers.

Example: `0.95 * exact + 0.05 * style`.

To mend it: give the other parts a larger weight, or take them out if they ask a judge for little.

Ignore it when: the small parts are there to break ties.
"""

from __future__ import annotations

from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location
from graders_engine.preflight.grader.mixed_scales import shares_of, why_not
from graders_engine.preflight.grader.phrases import and_joined
from graders_engine.preflight.grader.weights import addends
from graders_engine.preflight.inputs import Inputs


def _ask(inputs: Inputs) -> Answer:
    facts = inputs.grader
    if unknown := why_not(facts):
        return unknown
    shares = shares_of(addends(facts)) if facts else []
    if not shares or shares[0][1] <= inputs.options.limit("part_width"):
        return []
    (key, share), *others = shares
    rest = and_joined(f"`{keys}` {part:.0%}" for keys, part in others)
    return [
        Finding(
            "part-dominates",
            "info",
            f"`{key}` is {share:.0%} of what the formula can give, {rest}.",
            "Give the other parts a larger weight if they are to be trained.",
            where=[Location(inputs.grader_file, 0, "calculate_output")],
            numbers={"shares": dict(shares)},
        )
    ]


CHECK = Check(
    "part-dominates",
    "grader",
    _ask,
    frozenset({"grader"}),
    silenced_by=("invalid-grader", "mixed-scales"),
)
