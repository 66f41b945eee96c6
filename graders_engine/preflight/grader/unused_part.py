"""A part of the multi is run for each answer, but its reward does not count in the formula.

Why: it costs time, and money if it asks a judge, and nobody sees what it gives.

Example: `"graders": {"exact": …, "style": …}, "calculate_output": "exact"`.

To mend it: name the part in the formula, or take it out.

Ignore it when: its sub-reward is wanted in the reports only.
"""

from __future__ import annotations

from graders_engine.preflight.check import Answer, Check
from graders_engine.preflight.findings import Finding, Location, NotChecked
from graders_engine.preflight.grader.phrases import and_joined
from graders_engine.preflight.grader.weights import weights_of
from graders_engine.preflight.inputs import Inputs


def _ask(inputs: Inputs) -> Answer:
    facts = inputs.grader
    if facts is None or facts.multi is None:
        return NotChecked("the grader has no parts")
    formula = facts.multi.calculate_output
    weights = weights_of(facts)
    unused = [
        key
        for key in facts.multi.graders
        if key not in formula.names or (weights is not None and weights[key] == 0)
    ]
    if not unused:
        return []
    judged = [key for key in unused if facts.multi.graders[key].judge_models()]
    cost = (
        f" {and_joined(f'`{key}`' for key in judged)} costs a judge's call each time."
        if judged
        else ""
    )
    verb = "does" if len(unused) == 1 else "do"
    return [
        Finding(
            "unused-part",
            "info",
            f"{and_joined(f'`{key}`' for key in unused)} {verb} not count in "
            f"`{_short(formula.source)}`.{cost}",
            "Name it in calculate_output, or take it out.",
            where=[Location(inputs.grader_file, 0, f"graders.{key}") for key in unused],
            numbers={"parts": unused},
        )
    ]


def _short(source: str, most: int = 80) -> str:
    return source if len(source) <= most else f"{source[:most]}…"


CHECK = Check("unused-part", "grader", _ask, frozenset({"grader"}), silenced_by=("invalid-grader",))
