"""Checks of the training and validation files."""

from graders_engine.preflight.check import Check
from graders_engine.preflight.files import (
    answer_in_prompt,
    bad_messages,
    conflicting_references,
    duplicate_key,
    duplicate_rows,
    empty_prompt,
    long_prompts,
    mixed_types,
    not_jsonl,
    overlap,
    row_count,
    tools_missing,
)

CHECKS: tuple[Check, ...] = (
    not_jsonl.CHECK,
    duplicate_key.CHECK,
    bad_messages.CHECK,
    empty_prompt.CHECK,
    row_count.CHECK,
    duplicate_rows.CHECK,
    overlap.CHECK,
    conflicting_references.CHECK,
    mixed_types.CHECK,
    answer_in_prompt.CHECK,
    tools_missing.CHECK,
    long_prompts.CHECK,
)
