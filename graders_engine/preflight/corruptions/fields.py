"""Changes of a JSON answer's keys and lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from graders_engine.preflight.corruptions.operator import Answer, Corruption, Operator
from graders_engine.preflight.sample_parts import (
    Path,
    json_of,
    parts_of,
    put,
    spelled,
    text_of,
    without,
)

_NOTHING: tuple[Any, ...] = (None, "", [], {})
_MOST_SWAPS = 3


def _other_values(answer: Answer) -> Iterator[Corruption]:
    value = answer.value
    if not isinstance(value, Mapping):
        return
    others = [json_of(text_of(other)) for other in answer.others]
    for key, part in value.items():
        different = [
            other[key]
            for other in others
            if isinstance(other, Mapping) and key in other and other[key] not in (part, *_NOTHING)
        ]
        if different:
            yield Corruption(
                "other-value", str(key), answer.with_value({**value, key: different[0]})
            )


def _swapped(answer: Answer) -> Iterator[Corruption]:
    value = answer.value
    if not isinstance(value, Mapping):
        return
    texts = [key for key, part in value.items() if isinstance(part, str) and part]
    pairs = [pair for pair in combinations(texts, 2) if value[pair[0]] != value[pair[1]]]
    for one, other in pairs[:_MOST_SWAPS]:
        changed = {**value, one: value[other], other: value[one]}
        yield Corruption("swap-fields", f"{one} and {other}", answer.with_value(changed))


def _dropped(answer: Answer) -> Iterator[Corruption]:
    value = answer.value
    if isinstance(value, Mapping) and len(value) > 1:
        for key, part in value.items():
            if part not in _NOTHING:
                yield Corruption(
                    "drop-key", str(key), answer.with_value(without(value, (str(key),)))
                )


def _added(answer: Answer) -> Iterator[Corruption]:
    value = answer.value
    if answer.closed and isinstance(value, Mapping):
        yield Corruption("extra-key", "the answer", answer.with_value({**value, "comment": "no"}))


def _lists(answer: Answer) -> Iterator[tuple[Path, list[Any]]]:
    for path, part in parts_of(answer.value):
        if isinstance(part, list) and part:
            yield path, part


def _name(path: Path) -> str:
    return spelled(path) or "the list"


def _element_dropped(answer: Answer) -> Iterator[Corruption]:
    for path, part in _lists(answer):
        yield Corruption(
            "list-drop", _name(path), answer.with_value(put(answer.value, path, part[:-1]))
        )


def _element_twice(answer: Answer) -> Iterator[Corruption]:
    for path, part in _lists(answer):
        changed = put(answer.value, path, [*part, part[-1]])
        yield Corruption("list-duplicate", _name(path), answer.with_value(changed))


def _reordered(answer: Answer) -> Iterator[Corruption]:
    for path, part in _lists(answer):
        if (turned := part[::-1]) != part:
            yield Corruption(
                "list-reorder", _name(path), answer.with_value(put(answer.value, path, turned))
            )


OPERATORS = (
    Operator("other-value", "another row's value", _other_values),
    Operator("swap-fields", "two values exchanged", _swapped),
    Operator("drop-key", "the key left out", _dropped),
    Operator(
        "extra-key", "a key added that the schema does not allow", _added, harmless_alone=True
    ),
    Operator("list-drop", "an element left out", _element_dropped),
    Operator("list-duplicate", "an element twice", _element_twice, harmless_alone=True),
    Operator("list-reorder", "the elements in another order", _reordered, harmless_alone=True),
)
