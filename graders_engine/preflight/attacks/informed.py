"""What is made of the right answer without being it: it shows what a grader does not see."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from graders_engine.preflight.attacks.attack import Attack
from graders_engine.preflight.attacks.context import Context
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.references import Sample
from graders_engine.preflight.sample_parts import (
    calls_of,
    each_text,
    json_of,
    parts_of,
    text_of,
    to_text,
)

_STOP_WORDS = frozenset((
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "from", "had", "has", "have",
    "he", "her", "his", "i", "if", "in", "into", "is", "it", "its", "me", "my", "no", "not", "of",
    "on", "or", "our", "she", "so", "than", "that", "the", "their", "them", "then", "there",
    "these", "they", "this", "to", "was", "we", "were", "what", "when", "which", "who", "will",
    "with", "would", "you", "your",
))  # fmt: skip
_WORD = re.compile(r"[^\W_]+(?:['.,:/-][^\W_]+)*")
"""A word, or a number or date with all of its parts."""
_FEWEST_WORDS = 4
"""A shorter answer has no order to lose."""
_FEWEST_OTHERS, _MOST_OTHERS = 3, 11


def _salad(text: str) -> str:
    words = _WORD.findall(text)
    kept = sorted({word for word in words if word.lower() not in _STOP_WORDS}, key=str.lower)
    return " ".join(kept) if len(words) >= _FEWEST_WORDS and kept else text


def _longest(text: str) -> str:
    words = _WORD.findall(text)
    return max(words, key=len) if len(words) > 1 else text


def _changed(row: TrainingRow, context: Context, change: Callable[[str], str]) -> Sample | None:
    """The right answer, or each text of its JSON, changed; None if any part of it stays what it is.

    A JSON answer of which some parts stay right is rightly given something for them.
    """
    right = context.right(row)
    if right is None or calls_of(right):
        return None
    text = text_of(right)
    value = json_of(text)
    if value is None:
        made = change(text)
        return made if made.strip() and made != text else None
    leaves = _leaves(value)
    if not leaves or not all(isinstance(one, str) and change(one) != one for one in leaves):
        return None
    return to_text(each_text(value, change))


def _leaves(value: Any) -> list[Any]:
    return [part for _, part in parts_of(value) if not isinstance(part, (dict, list))]


def _salads(row: TrainingRow, context: Context) -> Mapping[str, Sample]:
    once = _changed(row, context, _salad)
    if once is None:
        return {}
    thrice = _changed(row, context, lambda text: " ".join([_salad(text)] * 3))
    return {"sorted": once, "sorted, three times": thrice or once}


def _one_word(row: TrainingRow, context: Context) -> Mapping[str, Sample]:
    word = _changed(row, context, _longest)
    return {} if word is None else {"longest word": word}


def _hedged(row: TrainingRow, context: Context) -> Mapping[str, Sample]:
    right = context.right(row)
    if right is None or calls_of(right) or context.candidates:  # all labels at once need no answer
        return {}
    value = json_of(text_of(right))
    others = context.others(row)[:_MOST_OTHERS]
    if len(others) < _FEWEST_OTHERS:
        return {}
    if value is None:
        return {"among others": _between(text_of(right), [text_of(one) for one in others])}
    if not isinstance(value, dict):
        return {}
    wrong = [found for one in others if isinstance(found := json_of(text_of(one)), dict)]
    hedged = {key: _hedged_part(key, part, wrong) for key, part in value.items()}
    if any(hedged[key] == part for key, part in value.items()):
        return {}
    return {"each key among others": to_text(hedged)}


def _hedged_part(key: str, part: Any, wrong: list[dict[str, Any]]) -> Any:
    """A text among those of other rows; anything else as it is."""
    if not isinstance(part, str):
        return part
    others = (one[key] for one in wrong if isinstance(one.get(key), str) and one[key] != part)
    return _between(part, list(dict.fromkeys(others)))


def _between(right: str, others: list[str]) -> str:
    if len(others) < _FEWEST_OTHERS:
        return right
    half = len(others) // 2
    return " or ".join([*others[:half], right, *others[half:]])


ATTACKS = (
    Attack(
        "keyword-salad", "informed", "a list of the right answer's words", _salads, framed=False
    ),
    Attack("one-word", "informed", "one word of the right answer", _one_word, framed=False),
    Attack("hedge", "informed", "the right answer among others", _hedged, framed=False),
)
