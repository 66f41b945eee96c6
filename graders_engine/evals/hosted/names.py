"""Names of criteria, scores, files and folders."""

from __future__ import annotations

import re
import unicodedata

from graders_engine.language.formula_functions import FUNCTIONS
from graders_engine.language.formula_tokens import is_name
from graders_engine.language.words import JOINERS, is_word

_UUID = re.compile(r"-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
MAX_NAMED = 8
"""Most names that a sentence lists."""
_NAME_CHARS, _NAME_BYTES = 60, 180
"""Longest name of a file, without extension; file systems allow 255 bytes with it."""


def without_uuid(name: str) -> str:
    """The name of a hosted score without what may follow the criterion's name in it."""
    return _UUID.sub("", name)


def formula_key(name: str, number: int, taken: set[str]) -> str:
    """A unique key, made of the characters of a name that a formula allows."""
    key = _cut(_plain(name))
    if not is_name(key) or key[0].isdigit() or key in FUNCTIONS:
        key = f"criterion_{key or number}"
    return unique(key, "_", taken)


def alike(name: str) -> str:
    """A name in small letters, with `_` for all that a formula does not allow."""
    return _plain(name).casefold()


def _plain(name: str) -> str:
    return _joined(name, "_")


def _joined(name: str, separator: str, kept: str = "") -> str:
    """The words of a name, of any script, with a separator in place of all but a few other characters."""
    plain = unicodedata.normalize("NFC", name).translate(dict.fromkeys(map(ord, JOINERS)))
    chars = (char if char in kept or (char != "_" and is_word(char)) else " " for char in plain)
    return separator.join("".join(chars).split())


def _cut(name: str) -> str:
    return name[:_NAME_CHARS].encode()[:_NAME_BYTES].decode(errors="ignore")


def file_name(name: str, object_id: str, taken: set[str]) -> str:
    """A unique name for a file or a folder, without characters special to file systems or shells."""
    plain = _cut(_joined(name, "-", "._-").strip("-._"))
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
