"""The differences of two JSON values, by path."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

_ABSENT: Any = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        path: such as `graders.name.input` or `input[0].content`; empty for the whole value.
        before: the old value; None if it was added.
        after: the new value; None if it was removed.
    """

    path: str
    kind: Literal["added", "removed", "changed"]
    before: Any
    after: Any


def changes(before: Any, after: Any, path: str = "") -> Iterator[Change]:
    """The differences of two JSON values, in their order; 1 equals 1.0."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            yield from changes(
                before.get(key, _ABSENT), after.get(key, _ABSENT), _child_path(path, key)
            )
    elif isinstance(before, list) and isinstance(after, list):
        for index, (old, new) in enumerate(zip_longest(before, after, fillvalue=_ABSENT)):
            yield from changes(old, new, f"{path}[{index}]")
    elif before is _ABSENT:
        yield Change(path, "added", None, after)
    elif after is _ABSENT:
        yield Change(path, "removed", before, None)
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        yield Change(path, "changed", before, after)


def _child_path(path: str, key: str) -> str:
    if not key.isidentifier():
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key
