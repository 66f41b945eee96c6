"""Checks of the grader alone, without running it."""

from graders_engine.preflight.check import Check
from graders_engine.preflight.grader import invalid_grader

CHECKS: tuple[Check, ...] = (invalid_grader.CHECK,)
