"""All checks, all that is graded for them, and all that is measured; the order is that of causes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graders_engine.preflight import files, grader, request, rows, samples
from graders_engine.preflight.attacks import plan as attack_plan
from graders_engine.preflight.attacks import results as attack_results
from graders_engine.preflight.check import Check
from graders_engine.preflight.corruptions import plan as corruption_plan
from graders_engine.preflight.corruptions import results as corruption_results
from graders_engine.preflight.corruptions import tolerance
from graders_engine.preflight.files import long_prompts
from graders_engine.preflight.inputs import Inputs
from graders_engine.preflight.rows import constant_answer, cost, measures, stages
from graders_engine.preflight.samples import baseline
from graders_engine.preflight.samples import grade as samples_grade
from graders_engine.preflight.trials import Stage

CHECKS: tuple[Check, ...] = (
    *request.CHECKS,
    *files.CHECKS,
    *grader.CHECKS,
    *rows.CHECKS,
    *samples.CHECKS,
)
"""In the order in which they are asked: what depends on another check stands after it."""

STAGES: tuple[Stage, ...] = (
    stages.REFERENCES,
    stages.OTHER_ROWS,
    stages.CONSTANTS,
    stages.USUAL,
    Stage(
        samples_grade.NAME,
        samples_grade.plan,
        None,
        ("unstable", *(check.id for check in samples.CHECKS)),
    ),
    attack_plan.STAGE,
    corruption_plan.STAGE,
    tolerance.STAGE,
)
"""What is graded, the most needed first: with few calls for judges, the last are left out."""

MEASURES: dict[str, Callable[[Inputs], Any]] = {
    "prompts": long_prompts.lengths,
    "scale": measures.scale,
    "references": measures.references,
    "floor": measures.floor,
    "constants": constant_answer.measured,
    "attacks": attack_results.measured,
    "attacks_left_out": attack_results.left_out,
    "corruptions": corruption_results.measured,
    "tolerance": tolerance.measured,
    "baseline": baseline.measured,
    "signal": baseline.measured_signal,
    "seconds": measures.seconds,
    "cost": cost.cost_of,
}
"""Name in the report's `measured` -> what computes it, as JSON values; None leaves it out."""
