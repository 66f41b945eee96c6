"""Names of criteria, scores, files and folders."""

from __future__ import annotations

import re

from graders_engine.language.formula_functions import FUNCTIONS

_UUID = re.compile(r"-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
_NAME_CHARS = 60
"""Longest name of a file, without extension."""


def without_uuid(name: str) -> str:
    """The name of a hosted score without what may follow the criterion's name in it."""
    return _UUID.sub("", name)


def formula_key(name: str, number: int, taken: set[str]) -> str:
    """A unique key, made of the characters of a name that a formula allows."""
    key = _plain(name)[:_NAME_CHARS]
    if not key or key[0].isdigit() or key in FUNCTIONS:
        key = f"criterion_{key or number}"
    return unique(key, "_", taken)


def alike(name: str) -> str:
    """A name in small letters, with `_` for all that a formula does not allow."""
    return _plain(name).casefold()


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")


def file_name(name: str, object_id: str, taken: set[str]) -> str:
    """A unique name for a file or a folder, without characters special to file systems or shells."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:_NAME_CHARS]
    by_id = re.sub(r"\W+", "-", object_id, flags=re.ASCII).strip("-")[:_NAME_CHARS]
    return unique(plain or by_id or "unnamed", "-", taken)


def unique(name: str, separator: str, taken: set[str]) -> str:
    """The name, with a number where it is taken already in any spelling; it is taken then."""
    free, count = name, 1
    while free.casefold() in taken:
        count += 1
        free = f"{name}{separator}{count}"
    taken.add(free.casefold())
    return free


def short(name: str, characters: int = _NAME_CHARS) -> str:
    """A name on one line, cut to a length."""
    line = " ".join(name.split())
    return line if len(line) <= characters else f"{line[:characters]}…"
