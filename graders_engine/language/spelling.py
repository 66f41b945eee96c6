"""Which of several known words a misspelt one stands for."""

from __future__ import annotations

import difflib
from collections.abc import Collection

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
