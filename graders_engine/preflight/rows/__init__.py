"""Checks of what the grader gives: right answers, other answers, attacks, corruptions."""

from graders_engine.preflight.check import Check
from graders_engine.preflight.rows import (
    constant_answer,
    constant_reward,
    corruption_unnoticed,
    cost,
    grader_fails,
    hackable,
    insensitive,
    reference_not_rewarded,
    slow_grader,
    unstable,
    weak_contrast,
)

CHECKS: tuple[Check, ...] = (
    grader_fails.CHECK,
    unstable.CHECK,
    constant_reward.CHECK,
    reference_not_rewarded.CHECK,
    weak_contrast.CHECK,
    constant_answer.CHECK,
    hackable.CHECK,
    insensitive.CHECK,
    corruption_unnoticed.CHECK,
    slow_grader.CHECK,
    cost.CHECK,
)
