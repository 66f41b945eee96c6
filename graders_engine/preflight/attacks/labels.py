"""All answers at once, where a task has few different ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graders_engine.preflight.attacks.attack import Attack
from graders_engine.preflight.attacks.context import Context
from graders_engine.preflight.attacks.fill import ELEMENT, Field
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.references import Sample
from graders_engine.preflight.sample_parts import json_of, put, text_of, to_text

_MOST_FIELDS = 6
"""Fields of an answer that are tried one at a time."""
_JOINED = {"joined by blanks": " ", "joined by commas": ", ", "joined by or": " or "}


def _all(row: TrainingRow, context: Context) -> Mapping[str, Sample]:
    found: dict[str, Sample] = {}
    if labels := context.candidates:
        found |= _joined(labels)
    elif options := context.options_in(row):
        found |= _joined([letter for letter, _ in options])
        found["all options"] = "\n".join(f"{letter}. {text}" for letter, text in options)
    own = context.right(row)
    value = json_of(text_of(own)) if own is not None else None
    if isinstance(value, dict) and context.candidate_fields:
        found |= _in_fields(value, context)
    return found


def _in_fields(value: dict[str, Any], context: Context) -> dict[str, Sample]:
    """All labels in each field, and in one field at a time; the usual values in the others."""
    found: dict[str, Sample] = {}
    guess = context.usual.guess(value)
    fields = list(context.candidate_fields)[:_MOST_FIELDS]
    for name, between in _JOINED.items():
        every = guess
        for field in fields:
            one = _with_labels(guess, field, between, context)
            if one is not None and len(fields) > 1:
                found.setdefault(f"{_spelled(field)}, {name}", to_text(one))
            every = _with_labels(every, field, between, context) or every
        if every != guess:
            found[f"each key, {name}"] = to_text(every)
    return found


def _with_labels(answer: Any, field: Field, between: str, context: Context) -> Any:
    """An answer with all labels in a field; None where it has none, or they are not allowed."""
    labels = context.candidate_fields[field]
    in_list = field[-1] == ELEMENT
    path = field[:-1] if in_list else field
    if not path or ELEMENT in path or not _has(answer, path):
        return None
    changed = put(answer, path, labels if in_list else between.join(labels))
    return None if context.is_ruled_out(to_text(changed)) else changed


def _spelled(field: Field) -> str:
    return ".".join(field).replace(f".{ELEMENT}", ELEMENT)


def _has(value: Any, path: Field) -> bool:
    for step in path:
        if not isinstance(value, dict) or step not in value:
            return False
        value = value[step]
    return True


def _joined(labels: Sequence[str]) -> dict[str, Sample]:
    return {name: between.join(labels) for name, between in _JOINED.items()}


ATTACKS = (Attack("all-candidates", "blind", "a list of all possible answers", _all),)
