"""Synonyms from WordNet 3.0, looked up in a sorted table that is mapped into memory.

The table is in the same folder as this file. `.ci/build_wordnet.py` makes it, and documents its format.
Nothing is loaded: a look-up is a binary search that touches about 18 lines of the file. WordNet's
licence is in `graders_engine/licenses/WORDNET_LICENSE.txt`.
"""

from __future__ import annotations

import mmap
from functools import lru_cache
from pathlib import Path

TABLE = Path(__file__).with_name("wordnet.tsv")

# The suffixes that WordNet's morphology removes from a form, and their replacements.
_RULES = {
    "n": (
        ("s", ""),
        ("ses", "s"),
        ("ves", "f"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
    ),
    "v": (
        ("s", ""),
        ("ies", "y"),
        ("es", "e"),
        ("es", ""),
        ("ed", "e"),
        ("ed", ""),
        ("ing", "e"),
        ("ing", ""),
    ),
    "a": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "r": (),
}

_LONGEST_FORM = 80
"""In characters. WordNet's longest entry has 71, and no rule shortens a form by more than 3."""


def synonyms(form: str) -> frozenset[str]:
    """The one-word members of all synsets of a form, in WordNet's spelling.

    Equal to the names without "_" of the lemmas of `wordnet.synsets(form)` in nltk 3.10.4 with
    WordNet 3.0: inflected forms are reduced to their bases, and all parts of speech are included. Not
    cached; a call takes 10 to 30 microseconds.
    """
    form = form.lower()
    if not form.isascii() or len(form) > _LONGEST_FORM:
        return frozenset()
    fields = _fields_of_form(form)
    found: set[str] = set()
    for part, rules in _RULES.items():
        found.update(_members(fields, part, form))
        exceptions = fields.get(part.upper())
        if exceptions is None:
            bases = [form[: -len(end)] + new for end, new in rules if form.endswith(end)]
        else:
            bases = exceptions.split()  # exceptions replace the rules, even an empty list of them
        for base in bases:
            found.update(_members(_fields_of_form(base), part, base))
    return frozenset(found)


def _members(fields: dict[str, str], part: str, form: str) -> list[str]:
    words = fields.get(part, "").split()
    return [form if word == "=" else word for word in words]


def _fields_of_form(form: str) -> dict[str, str]:
    """The fields of a form's line, letter -> words; empty when the form is not in the table."""
    table = _table()
    key = form.encode("ascii")
    low, high = 0, len(table)
    while low < high:
        start = table.rfind(b"\n", low, (low + high) // 2) + 1 or low
        tab = table.find(b"\t", start)
        line_key = table[start:tab]
        if line_key < key:
            low = table.find(b"\n", tab) + 1
        elif line_key > key:
            high = start
        else:
            fields = table[tab + 1 : table.find(b"\n", tab)].decode("ascii").split("\t")
            return {field[0]: field[1:] for field in fields}
    return {}


@lru_cache(maxsize=1)
def _table() -> mmap.mmap:
    # Mapped for the life of the process: its pages are those of the file, shared between processes.
    with TABLE.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
