"""The lines of a results file as its columns need them."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from functools import partial
from typing import Any

import msgspec

from graders_engine.nothing import NOTHING
from graders_engine.outcome import SERVED, Blame, Status

ABSENT = float("nan")
"""The sub-reward of a line that has none of that key; None is that of a part that failed."""


class KeptLine(msgspec.Struct, gc=False):
    """What is kept of a `ResultLine`; decoding all of it takes three times as long."""

    line: int
    reward: float | None
    status: Status
    sub_rewards: Any
    flags: dict[str, str]
    seconds: float
    blame: Blame | None = None
    served: float | None = None
    sample: int = 0
    group: str | None = None
    blames: dict[str, Blame] = NOTHING


class _AnyLine(KeptLine, gc=False):
    """A line with any sub-rewards."""

    sub_rewards: dict[str, float | None]


decode_any = msgspec.json.Decoder(_AnyLine).decode_lines


def decoder_for(keys: Sequence[str]) -> Callable[[bytes], list[Any]]:
    """Decodes lines with no other sub-rewards than these, as attributes `f0`, `f1` and so on.

    It takes half as long as a dictionary for each row.
    """
    fields = {f"f{number}": key for number, key in enumerate(keys)}
    members = [(name, float | None, ABSENT) for name in fields]
    try:
        parts = msgspec.defstruct(
            "Parts", members, rename=fields, gc=False, forbid_unknown_fields=True
        )
    except ValueError:  # no attribute can stand for a key with quotation marks
        return partial(_with_dictionaries, frozenset(keys))
    line = msgspec.defstruct("Line", [("sub_rewards", parts)], bases=(KeptLine,), gc=False)
    return msgspec.json.Decoder(line).decode_lines


def _with_dictionaries(keys: Set[str], text: bytes) -> list[Any]:
    """Lines with no other sub-rewards than these, each with a dictionary of them."""
    lines = decode_any(text)
    if not all(line.sub_rewards.keys() <= keys for line in lines):
        raise msgspec.ValidationError("there are other sub-rewards")
    return lines


def is_served(line: KeptLine, key: str) -> bool:
    """Whether a part that failed counts in its mean, as in `ResultLine.counted_parts`."""
    return line.status != "scored" and line.blames.get(key, line.blame) in SERVED
