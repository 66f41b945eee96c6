"""All answers at once, where a task has few different ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graders_engine.preflight.attacks.attack import Attack
from graders_engine.preflight.attacks.context import Context
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.references import Sample
from graders_engine.preflight.sample_parts import json_of, text_of, to_text

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
    if isinstance(value, dict) and (parts := context.candidate_parts):
        for name, between in _JOINED.items():
            filled = {key: between.join(parts[key]) for key in value if key in parts}
            found[f"each key, {name}"] = to_text({**_emptied(value), **filled})
    return found


def _emptied(value: Mapping[str, object]) -> dict[str, object]:
    return {key: "" if isinstance(part, str) else None for key, part in value.items()}


def _joined(labels: Sequence[str]) -> dict[str, Sample]:
    return {name: between.join(labels) for name, between in _JOINED.items()}


ATTACKS = (Attack("all-candidates", "blind", "a list of all possible answers", _all),)
