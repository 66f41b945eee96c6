"""Checks of what the grader gives: right answers, other answers, attacks, corruptions."""

from graders_engine.preflight.check import Check

CHECKS: tuple[Check, ...] = ()
