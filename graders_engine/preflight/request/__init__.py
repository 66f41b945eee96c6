"""Checks of the job's request."""

from graders_engine.preflight.check import Check

CHECKS: tuple[Check, ...] = ()
