"""Checks of what the grader gives: right answers, other answers, attacks, corruptions."""

from graders_engine.preflight.check import Check
from graders_engine.preflight.rows import corruption_unnoticed, hackable, insensitive

CHECKS: tuple[Check, ...] = (
    hackable.CHECK,
    insensitive.CHECK,
    corruption_unnoticed.CHECK,
)
