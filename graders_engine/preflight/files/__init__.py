"""Checks of the training and validation files."""

from graders_engine.preflight.check import Check

CHECKS: tuple[Check, ...] = ()
