"""Make the synonym table from WordNet's dict files.

    python .ci/build_wordnet.py DICT_DIR OUT

DICT_DIR contains WordNet 3.0's index.*, data.* and *.exc, as in Debian's `wordnet-base`. The output is
`graders_engine/metrics/wordnet.tsv`. The same input gives the same bytes.

The table is ASCII text, with one line per form, sorted by the form as bytes:

    form TAB field TAB field ...

A field is a letter followed by words, joined by single spaces. n, v, a, r (noun, verb, adjective,
adverb, in this order): the form is an entry of WordNet in this part of speech, and the words are the
one-word members of its synsets, sorted, with "=" for the form itself. N, V, A, R: the form is in the
list of exceptions of this part of speech ("mice"), and the words are its base forms.
Entries with no one-word member and no exception are left out.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

PARTS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}


def build(dictionary: Path) -> bytes:
    """The content of the table.

    Args:
        dictionary: the folder with WordNet's dict files.

    Raises:
        OSError: a file is missing or cannot be read.
        ValueError: a file is not in WordNet's format.
    """
    fields: dict[str, list[str]] = defaultdict(list)
    for part, letter in PARTS.items():
        members = _members(dictionary, part)
        for form, words in members.items():
            if words:
                named = ["=" if word == form else word for word in sorted(words)]
                fields[form].append(" ".join([letter, *named]))
        for form, bases in _exceptions(dictionary, part).items():
            fields[form].append(" ".join([letter.upper(), *bases]))
    lines = ("\t".join([form, *fields[form]]) + "\n" for form in sorted(fields))
    return "".join(lines).encode("ascii")


def _members(dictionary: Path, part: str) -> dict[str, set[str]]:
    """Form -> the one-word members of its synsets."""
    synsets: dict[int, list[str]] = {}
    for line in _lines(dictionary / f"data.{part}"):
        # offset, file number, part of speech, count in hexadecimal, then pairs of a word and an id
        offset, _, _, count, *rest = line.split("|")[0].split()
        words = (word.partition("(")[0] for word in rest[: 2 * int(count, 16) : 2])
        synsets[int(offset)] = [word for word in words if "_" not in word]
    members: dict[str, set[str]] = {}
    for line in _lines(dictionary / f"index.{part}"):
        # form, part of speech, number of synsets, ...; the offsets are last
        form, _, count, *rest = line.split()
        offsets = map(int, rest[-int(count) :])
        members[form] = {word for offset in offsets for word in synsets[offset]}
    return members


def _exceptions(dictionary: Path, part: str) -> dict[str, list[str]]:
    """Irregular form -> base forms. The last line of a form wins, as in nltk."""
    lines = (line.split() for line in _lines(dictionary / f"{part}.exc"))
    return {form: bases for form, *bases in lines}


def _lines(path: Path) -> list[str]:
    """All lines except the licence, which is indented."""
    text = path.read_text(encoding="ascii")
    return [line for line in text.split("\n") if line and not line.startswith(" ")]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python .ci/build_wordnet.py DICT_DIR OUT")
    Path(sys.argv[2]).write_bytes(build(Path(sys.argv[1])))
