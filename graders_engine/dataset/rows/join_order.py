"""What shows that outputs, which share no key with the rows, are in another order than the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from graders_engine.dataset.rows.join_shared import comparable, telling, value_at

_NUMBERS = (
    "doc_id", "i", "idx", "index", "line", "line_number", "n", "position", "row", "row_idx", "row_index",
)  # fmt: skip
"""Keys under which outputs are numbered."""
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
        if key.rpartition(".")[2] in _NUMBERS and (numbers := _out_of_order(outputs, key)):
            first = ", ".join(map(str, numbers[:4]))
            return (
                f"the outputs are numbered by `{key}`, and not in ascending order ({first}, …): sort them by "
                "it, or give rows and outputs an id and join them by it (--join-on id)"
            )
    for key in keys:
        if other := _moved(rows, outputs, key):
            return (
                f"the outputs have under `{key}` what the rows have under `{other}`, but in another order: "
                f"join them by it (--join-on {other}={key})"
            )
    return ""


def _out_of_order(outputs: Sequence[Any], key: str) -> list[int]:
    """The numbers of the outputs under a key, if each has one of its own and they do not ascend."""
    found = [value_at(output, key) for output in outputs]
    numbers = [one for one in found if isinstance(one, int) and not isinstance(one, bool)]
    if len(numbers) < len(found) or len(set(numbers)) < len(numbers):
        return []
    return numbers if any(one > next_one for one, next_one in pairwise(numbers)) else []


def _moved(rows: Sequence[Any], outputs: Sequence[Any], key: str) -> str:
    """The key of the rows whose texts the outputs have under another key, at other places."""
    texts = [_text(output, key) for output in outputs]
    known = list(filter(None, texts))
    if len(set(known)) < _LEAST or not telling(known):
        return ""
    for other in _keys_of(rows):
        ours = [_text(row, other) for row in rows]
        in_place = sum(one == theirs != "" for one, theirs in zip(ours, texts, strict=False))
        shared = set(filter(None, ours)) & set(known)
        if len(shared) >= _LEAST and 2 * len(shared) >= len(set(known)) and in_place < len(shared):
            return other
    return ""


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
