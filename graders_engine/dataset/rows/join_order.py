"""What shows that outputs, which share no key with the rows, are in another order than the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from graders_engine.dataset.rows.join_shared import comparable, telling, value_at

_NUMBERS = ("doc_id", "idx", "index", "row", "row_idx", "row_index")
"""Keys under which outputs are numbered."""
_MANY = 50
"""Outputs from which on their numbers need not be those from 0 or 1 to the last: they are the first ones."""
_NEARLY_ALL = 0.9
_LEAST = 3
"""Equal texts from which two keys are taken for the same."""
_LONG = 12
"""Characters of a text from which it is hardly the same by chance."""


def why_in_another_order(rows: Sequence[Any], outputs: Sequence[Any], keys: Sequence[str]) -> str:
    """Why the place of an output is not that of its row; empty if nothing shows it.

    Args:
        rows: the first rows.
        outputs: the first outputs.
        keys: the keys of the outputs, but for those of the model's answer.
    """
    for key in keys:
        if key in _NUMBERS and (numbers := _out_of_order(outputs, key)):
            first = ", ".join(map(str, numbers[:4]))
            return (
                f"the outputs are numbered by `{key}`, and not in ascending order ({first}, …): sort them by "
                "it, or give rows and outputs an id and join them by it (--join-on id)"
            )
    moved = ""
    for key in keys:
        texts = [_text(output, key) for output in outputs]
        for other in _keys_of(rows):
            ours = [_text(row, other) for row in rows]
            place = _place_of(ours, texts)
            if place == "same":
                return ""
            if place == "other":
                moved = moved or (
                    f"the outputs have under `{key}` what the rows have under `{other}`, but in another "
                    f"order: join them by it (--join-on {other}={key})"
                )
    return moved


def _out_of_order(outputs: Sequence[Any], key: str) -> list[int]:
    """The numbers of the outputs under a key, if each has one of its own and they do not ascend."""
    numbers = [
        number for output in outputs if (number := _number(value_at(output, key))) is not None
    ]
    if len(numbers) < len(outputs) or len(set(numbers)) < len(numbers):
        return []
    lowest = min(numbers)
    are_all = lowest in (0, 1) and max(numbers) == lowest + len(numbers) - 1
    if not are_all and len(numbers) < _MANY:
        return []
    return numbers if any(one > next_one for one, next_one in pairwise(numbers)) else []


def _number(value: Any) -> int | None:
    """A whole number, also as the cells of tables have it."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    is_whole = (
        isinstance(value, (int, float)) and not isinstance(value, bool) and value == value // 1
    )
    return int(value) if is_whole else None


def _place_of(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """Where the texts of outputs stand among those of the rows: "same", "other", or nowhere that shows it."""
    known = set(filter(None, theirs))
    shared = known & set(filter(None, ours))
    if len(shared) < max(_LEAST, _NEARLY_ALL * len(known)) or not telling([*filter(None, theirs)]):
        return ""
    in_place = sum(one == other != "" for one, other in zip(ours, theirs, strict=False))
    return "same" if in_place >= _NEARLY_ALL * len(shared) else "other"


def _text(row: Any, key: str) -> str:
    text = comparable(row, key) if isinstance(value_at(row, key), str) else ""
    return text if len(text) >= _LONG else ""


def _keys_of(rows: Sequence[Any]) -> Iterator[str]:
    first = next((row for row in rows if isinstance(row, Mapping)), {})
    for key, value in first.items():
        if isinstance(value, str):
            yield str(key)
        if isinstance(value, Mapping):
            yield from (str(inner) for inner, text in value.items() if isinstance(text, str))
