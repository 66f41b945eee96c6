"""Parts on different scales are added, and one of them is nearly all of the sum.

Why: 5 points of a judge outweigh a comparison that gives 1, and the other parts decide little or
nothing, though the formula looks as if all counted alike.

Example: `judge + exact`, where the judge's range is from 0 to 10: `exact` is 9 % of the scale.

To mend it: bring the parts to one scale before they are weighed: `0.5 * judge / 10 + 0.5 * exact`.

Ignore it when: the weights are meant as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.grader.phrases import and_joined
from graders_engine.preflight.grader.weights import Addend, addends
from graders_engine.preflight.grader_facts import GraderFacts
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.showing import number


def why_not(facts: GraderFacts | None) -> NotChecked | None:
    """Why the shares of a grader's parts are unknown; None if they are known."""
    if facts is None or facts.multi is None:
        return NotChecked("the grader has no parts")
    unknown = [
        key
        for key in facts.multi.calculate_output.names
        if not math.isfinite(facts.part_widths[key].width)
    ]
    if unknown and not addends(facts):
        verb = "gives is" if len(unknown) == 1 else "give are"
        return NotChecked(f"the rewards that {and_joined(unknown)} {verb} unknown")
    return None


def shares_of(found: Sequence[Addend]) -> list[tuple[str, float]]:
    """(parts, share of the sum's width) of each term, the largest first."""
    whole = sum(addend.width for addend in found)
    shares = [
        (" and ".join(addend.keys), addend.width / whole if whole else 0.0) for addend in found
    ]
    return sorted(shares, key=lambda pair: -pair[1])


def _ask(inputs: Inputs) -> Answer:
    facts = inputs.grader
    if unknown := why_not(facts):
        return unknown
    if facts is None:
        return []
    found = addends(facts)
    shares = shares_of(found)
    if not shares or shares[0][1] <= inputs.options.limit("part_width"):
        return []
    ranges = facts.part_widths
    widths = {ranges[key].width for addend in found for key in addend.keys}
    if len(widths) < 2:
        return []
    scales = and_joined(
        f"`{key}` from {number(ranges[key].low)} to {number(ranges[key].high)}"
        for key in dict.fromkeys(key for addend in found for key in addend.keys)
    )
    listed = and_joined(f"`{keys}` {share:.0%}" for keys, share in shares)
    top = shares[0][0].partition(" and ")[0]
    interval = ranges[top]
    scaled = f"({top} - {number(interval.low)})" if interval.low else top
    return [
        Finding(
            "mixed-scales",
            "warning",
            f"The formula adds parts on different scales: {scales}. Their shares of the sum are {listed}.",
            f"Bring the parts to one scale first, such as `{scaled} / {number(interval.width)}`.",
            where=[Location(inputs.grader_file, 0, "calculate_output")],
            numbers={"shares": dict(shares)},
            silences=True,
        )
    ]


CHECK = Check(
    "mixed-scales", "grader", _ask, frozenset({"grader"}), silenced_by=("invalid-grader",)
)
