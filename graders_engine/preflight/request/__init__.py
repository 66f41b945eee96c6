"""Checks of the job's request."""

from graders_engine.preflight.check import Check
from graders_engine.preflight.request import (
    batch_over_rows,
    invalid_request,
    invalid_response_format,
    model_cannot_train,
    never_evaluated,
    no_validation_file,
    other_grader,
    value_out_of_range,
)

CHECKS: tuple[Check, ...] = (
    invalid_request.CHECK,
    invalid_response_format.CHECK,
    value_out_of_range.CHECK,
    other_grader.CHECK,
    no_validation_file.CHECK,
    model_cannot_train.CHECK,
    never_evaluated.CHECK,
    batch_over_rows.CHECK,
)
