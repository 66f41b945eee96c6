"""Wrong answers in characters that normalisation may delete or replace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graders_engine.preflight.attacks.attack import Attack
from graders_engine.preflight.attacks.context import Context
from graders_engine.preflight.attacks.fill import changed_texts
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.references import Sample
from graders_engine.preflight.sample_parts import each_text, json_of, text_of, to_text

_JOINER, _RIGHT_TO_LEFT, _COMBINING = "\u200d", "\u202e", "\u0301"
_FULL_WIDTH = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_CHARS = 1_000
_OTHER_SCRIPTS = "неверный ответ"


def _changes(text: str) -> dict[str, str]:
    return {
        "joiners": _JOINER.join(text),
        "full width": text.translate(_FULL_WIDTH),
        "right to left": f"{_RIGHT_TO_LEFT}{text}",
        "combining marks": "".join(f"{char}{_COMBINING}" for char in text),
        "no letters": _JOINER * 3,
        "another script": _OTHER_SCRIPTS,
    }


def _disguised(row: TrainingRow, context: Context) -> Mapping[str, Sample]:
    others = context.others(row)
    wrong = text_of(others[0])[:_CHARS] if others else "wrong answer"
    if (value := json_of(wrong)) is None:
        return dict(_changes(wrong))
    return {name: _put(value, _change(name), context) for name in _changes("")}


def _put(value: Any, change: Callable[[str], str], context: Context) -> Sample:
    """A JSON value with its texts changed, those aside that the job's response format keeps as they are."""
    changed = to_text(each_text(value, change))
    if not context.is_ruled_out(changed):
        return changed
    return to_text(changed_texts(value, change, lambda other: context.is_ruled_out(to_text(other))))


def _change(name: str) -> Callable[[str], str]:
    return lambda text: _changes(text)[name]


ATTACKS = (Attack("unicode", "blind", "a wrong answer in unusual characters", _disguised),)
