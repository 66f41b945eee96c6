"""Checks of the grader alone, without running it."""

from graders_engine.preflight.check import Check
from graders_engine.preflight.grader import (
    formula_domain,
    invalid_grader,
    judge_blind,
    latin_only_metric,
    missing_field,
    mixed_scales,
    no_response_format,
    not_for_training,
    not_in_schema,
    null_field,
    outside_access,
    part_dominates,
    random_source,
    sample_unread,
    unavailable_import,
    unused_part,
)

CHECKS: tuple[Check, ...] = (
    invalid_grader.CHECK,
    missing_field.CHECK,
    null_field.CHECK,
    sample_unread.CHECK,
    judge_blind.CHECK,
    formula_domain.CHECK,
    unused_part.CHECK,
    mixed_scales.CHECK,
    part_dominates.CHECK,
    unavailable_import.CHECK,
    outside_access.CHECK,
    random_source.CHECK,
    no_response_format.CHECK,
    not_in_schema.CHECK,
    not_for_training.CHECK,
    latin_only_metric.CHECK,
)
