"""Texts taken from the prompt: the prompt itself, its numbers, values in the right form."""

from __future__ import annotations

import re
from collections.abc import Mapping

from graders_engine.preflight.attacks.attack import Attack
from graders_engine.preflight.attacks.context import Context
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.references import Sample
from graders_engine.preflight.sample_parts import json_of, text_of, to_text

_COPIED_CHARS = 20_000
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*")
_MOST_NUMBERS = 500
_TO_HUNDRED = " ".join(map(str, range(101)))


def _copy(row: TrainingRow, _: Context) -> Mapping[str, Sample]:
    found: dict[str, Sample] = {}
    if row.prompt.strip():
        found["all messages"] = row.prompt[:_COPIED_CHARS]
    users = [text for role, text in row.texts if role == "user" and text.strip()]
    if users and users[-1] != row.prompt:
        found["last message"] = users[-1][:_COPIED_CHARS]
    return found


def _numbers(row: TrainingRow, _: Context) -> Mapping[str, Sample]:
    found: dict[str, Sample] = {"0 to 100": _TO_HUNDRED}
    if numbers := list(dict.fromkeys(_NUMBER.findall(row.prompt)))[:_MOST_NUMBERS]:
        found["numbers of the prompt"] = " ".join(numbers)
    return found


def _form(row: TrainingRow, context: Context) -> Mapping[str, Sample]:
    found: dict[str, Sample] = {}
    if (made := context.skeleton(row, guessed=False)) is not None:
        found["made-up values"] = _made_up(made("value"), row, context)
        if others := [one for one in context.others(row) if json_of(text_of(one)) is not None]:
            found["values of another row"] = others[0]
    return found


def _made_up(value: object, row: TrainingRow, context: Context) -> Sample:
    """Wrong values; where no right ones are known, such as a grader may take for missing are left out."""
    own = context.right(row)
    changed = to_text(_numbers_set(value))
    known = own is not None and json_of(text_of(own)) is not None
    return to_text(value) if known or context.is_ruled_out(changed) else changed


def _numbers_set(value: object) -> object:
    """A JSON value with 1 for 0 and for null."""
    if isinstance(value, dict):
        return {key: _numbers_set(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_numbers_set(part) for part in value]
    return value if isinstance(value, str) or value else 1


def _expects_json(context: Context) -> bool:
    return any(context.skeleton(row) is not None for row in context.rows[:1])


ATTACKS = (
    Attack("prompt-copy", "blind", "a copy of the prompt", _copy),
    Attack("number-flood", "blind", "a list of numbers", _numbers),
    Attack("format-only", "blind", "the right form with wrong values", _form, _expects_json, framed=False),
)  # fmt: skip
