"""Which of several known words a misspelt one stands for."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable
from functools import wraps
from typing import Any, TypeVar

R = TypeVar("R", bound=type)

MAX_CHARS = 100
"""Longer words are not compared: it takes time with each character of each pair."""


def nearest(word: str, known: Collection[str]) -> str:
    """The known word that a misspelt one probably stands for; empty if no word is close."""
    if len(word) > MAX_CHARS:
        return ""
    folded = {name.lower(): name for name in known if len(name) <= MAX_CHARS}
    typed = word.lower()
    if near := difflib.get_close_matches(typed, folded, 1):
        return folded[near[0]]
    # `ref` and `equals` are too short or too long to match by letters, but have a common prefix.
    prefixed = [
        name
        for name in folded
        if len(typed) > 1 and name and (typed.startswith(name) or name.startswith(typed))
    ]
    return folded[prefixed[0]] if prefixed else ""


def require_settings(given: Iterable[str], known: Collection[str], owner: str) -> None:
    """Check the names of settings.

    Raises:
        TypeError: one is not known; it names the one that was probably meant, and all that there are.
    """
    if unknown := [name for name in given if name not in known]:
        close = nearest(unknown[0], known)
        suggestion = f" Did you mean '{close}'?" if close else ""
        raise TypeError(
            f"{owner} has no setting '{unknown[0]}'.{suggestion} Its settings are {', '.join(known)}."
        )


def names_settings(record: R) -> R:
    """Makes a dataclass name the setting that was probably meant, where Python says that one is unknown."""
    made: Callable[..., None] = vars(record)["__init__"]
    known = tuple(vars(record)["__dataclass_fields__"])

    @wraps(made)
    def init(self: Any, *args: Any, **given: Any) -> None:
        require_settings(given, known, record.__name__)
        made(self, *args, **given)

    type.__setattr__(record, "__init__", init)
    return record
