"""Checks of what a base model answered."""

from graders_engine.preflight.check import Check

CHECKS: tuple[Check, ...] = ()
