"""Checks of what a base model answered."""

from graders_engine.preflight.check import Check
from graders_engine.preflight.samples import (
    baseline_ceiling,
    baseline_floor,
    beats_baseline,
    coarse_reward,
    dead_part,
    follows_length,
    little_headroom,
    no_signal,
    right_answer_rejected,
    samples_unmatched,
    too_few_samples,
    truncated_samples,
    unparsable_samples,
)

CHECKS: tuple[Check, ...] = (
    samples_unmatched.CHECK,
    too_few_samples.CHECK,
    baseline_floor.CHECK,
    baseline_ceiling.CHECK,
    no_signal.CHECK,
    little_headroom.CHECK,
    coarse_reward.CHECK,
    follows_length.CHECK,
    right_answer_rejected.CHECK,
    unparsable_samples.CHECK,
    truncated_samples.CHECK,
    dead_part.CHECK,
    beats_baseline.CHECK,
)
