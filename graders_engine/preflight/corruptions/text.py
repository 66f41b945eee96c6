"""Small changes of a text, or of each text of a JSON answer or of a tool call's arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from graders_engine.preflight.corruptions.operator import Answer, Corruption, Operator

_NUMBER = re.compile(r"\d+")
_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_NOT = re.compile(
    r"\b(is|are|was|were|must|shall|should|will|may|can|does|do|has|have)\b( not\b)?", re.IGNORECASE
)
_OPPOSITES = {
    "yes": "no", "no": "yes", "true": "false", "false": "true", "never": "always", "always": "never",
    "correct": "incorrect", "incorrect": "correct", "valid": "invalid", "invalid": "valid",
}  # fmt: skip
_OPPOSITE = re.compile(rf"\b({'|'.join(_OPPOSITES)})\b", re.IGNORECASE)
_FEWEST_CUT, _FEWEST_SHUFFLED = 6, 4


def _numbers(answer: Answer) -> Iterator[Corruption]:
    for part in answer.parts():
        if (changed := another_number(part.value)) is not None:
            yield Corruption("number", part.field, part.rebuilt(changed))


def another_number(value: Any) -> Any:
    """A number, or a text with a number, with its leading digit changed; None if there is no number.

    The leading digit of the last number of a text: graders rightly allow for rounding, and the last number is
    usually the answer.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        text = repr(value)
        changed = another_number(text)
        return None if changed is None else type(value)(changed)
    if not isinstance(value, str):
        return None
    if dates := [*_DATE.finditer(value)]:
        year, month, day = dates[-1].groups()
        other = int(day) % 28 + 1
        return f"{value[: dates[-1].start()]}{year}-{month}-{other:02d}{value[dates[-1].end() :]}"
    runs = [found for found in _NUMBER.finditer(value) if found[0].strip("0")] or [
        *_NUMBER.finditer(value)
    ]
    if not runs:
        return None
    run = _whole_part(value, runs)
    digit = next((at for at, char in enumerate(run[0]) if char != "0"), 0)
    at = run.start() + digit
    return f"{value[:at]}{_other_digit(value[at])}{value[at + 1 :]}"


def _whole_part(text: str, runs: list[re.Match[str]]) -> re.Match[str]:
    """The digits before the decimal point of the last number: of 7,215.85 the 7."""
    at = len(runs) - 1
    while at and text[runs[at - 1].end() : runs[at].start()] in (".", ","):
        at -= 1
    return runs[at]


def _other_digit(digit: str) -> str:
    number = int(digit)
    return str(number + 1 if number < 9 else 8)


def _negations(answer: Answer) -> Iterator[Corruption]:
    for part in answer.parts():
        value = part.value
        if isinstance(value, bool):
            yield Corruption("negation", part.field, part.rebuilt(not value))
        elif isinstance(value, str) and (changed := _negated(value)) != value:
            yield Corruption("negation", part.field, part.rebuilt(changed))


def _negated(text: str) -> str:
    if found := _OPPOSITE.search(text):
        other = _OPPOSITES[found[0].lower()]
        cased = other.capitalize() if found[0][0].isupper() else other
        return f"{text[: found.start()]}{cased.upper() if found[0].isupper() else cased}{text[found.end() :]}"
    return _NOT.sub(lambda found: found[1] if found[2] else f"{found[1]} not", text, count=1)


def _cut(answer: Answer) -> Iterator[Corruption]:
    for part in answer.parts():
        words = part.value.split() if isinstance(part.value, str) else []
        if len(words) >= _FEWEST_CUT:
            half = " ".join(words[: len(words) // 2])
            yield Corruption("cut-half", part.field, part.rebuilt(half))


def _shuffled(answer: Answer) -> Iterator[Corruption]:
    for part in answer.parts():
        words = part.value.split() if isinstance(part.value, str) else []
        if len(words) < _FEWEST_SHUFFLED:
            continue
        order = words[:]
        answer.choice.shuffle(order)
        if order != words:
            yield Corruption("word-order", part.field, part.rebuilt(" ".join(order)))


OPERATORS = (
    Operator("number", "another number", _numbers),
    Operator("negation", "a negation", _negations),
    Operator("cut-half", "the second half left out", _cut, harmless_alone=True),
    Operator("word-order", "the words in another order", _shuffled, harmless_alone=True),
)
