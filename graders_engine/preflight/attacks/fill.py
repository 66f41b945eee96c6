"""What stands in a JSON answer beside a hostile text: the usual values of its fields, or wrong ones."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from graders_engine.preflight.sample_parts import Path, parts_of, put, to_text

Field = tuple[str, ...]
"""A place in JSON answers: the keys that lead there, and `[]` for any element of a list."""
ELEMENT = "[]"
_MOST_TEXTS = 50
"""Texts of one answer that are changed one by one."""


def field_of(path: Path) -> Field:
    """The place that a path leads to."""
    return tuple(ELEMENT if isinstance(step, int) else step for step in path)


class FieldValues:
    """What some JSON answers have in each field.

    Args:
        answers: the answers.
    """

    def __init__(self, answers: Iterable[Any] = ()) -> None:
        self._counts: dict[Field, Counter[str]] = {}
        for answer in answers:
            for path, part in parts_of(answer):
                if not isinstance(part, dict):
                    self._counts.setdefault(field_of(path), Counter())[to_text(part)] += 1

    def of(self, field: Field) -> list[Any]:
        """The different values of a field, the most usual first."""
        return [json.loads(text) for text, _ in self._counts.get(field, Counter()).most_common()]

    def texts(self) -> dict[Field, list[str]]:
        """All texts of each field, those that are there several times as often; none that are empty."""
        found = {
            field: [text for text in map(json.loads, counts.elements()) if _is_text(text)]
            for field, counts in self._counts.items()
        }
        return {field: texts for field, texts in found.items() if texts}

    @property
    def repeated(self) -> bool:
        """Whether some field has one value in several answers."""
        return any(count > 1 for counts in self._counts.values() for count in counts.values())

    def guess(self, value: Any, field: Field = ()) -> Any:
        """A JSON answer of the form of another one, with the usual value in each field."""
        if isinstance(value, dict):
            return {key: self.guess(part, (*field, key)) for key, part in value.items()}
        usual = self.of(field)
        return usual[0] if usual else "" if isinstance(value, str) else None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


@dataclass(frozen=True, slots=True)
class Fill:
    """How the fields are filled in which no hostile text stands.

    Attributes:
        usual: values that are tried first, the most usual one before others.
        right: the row's right values, which are not given where another value is valid.
        keeps: whether a text that must be one of a list is filled as well, and not only what is no text.
    """

    usual: FieldValues
    right: FieldValues
    keeps: bool = True

    def value(self, field: Field, allowed: Callable[[Any], bool], plain: Sequence[Any]) -> Any:
        """What stands in a field: a usual value, else a plain one, the first that is allowed."""
        valid = [value for value in (*self.usual.of(field), *plain) if allowed(value)]
        right = set(map(to_text, self.right.of(field)))
        wrong = (value for value in valid if to_text(value) not in right)
        return next(wrong, valid[0] if valid else plain[0])


PLAIN = Fill(FieldValues(), FieldValues())
"""Nothing is known of the answers."""


def changed_texts(
    value: Any, change: Callable[[str], str], is_ruled_out: Callable[[Any], bool]
) -> Any:
    """A JSON value with each text changed that may be changed."""
    paths = [path for path, part in parts_of(value) if isinstance(part, str)]
    for path in paths[:_MOST_TEXTS]:
        other = put(value, path, change(_at(value, path)))
        if not is_ruled_out(other):
            value = other
    return value


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value
