"""The Porter stemmer with nltk's extensions.

Porter, "An algorithm for suffix stripping", Program 14.3 (1980), with the departures that nltk
3.10.4 calls NLTK_EXTENSIONS. They are its default, so METEOR and rouge_score use them.
"""

from __future__ import annotations

import re

_IRREGULAR = {
    "skies": "sky",
    "sky": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "news": "news",
    "innings": "inning",
    "inning": "inning",
    "outings": "outing",
    "outing": "outing",
    "cannings": "canning",
    "canning": "canning",
    "howe": "howe",
    "proceed": "proceed",
    "exceed": "exceed",
    "succeed": "succeed",
}

_VOWELS = frozenset("aeiou")
_VOWEL_THEN_CONSONANT = re.compile("[aeiou][^aeiou]")

# Steps 2 to 4: the first matching suffix decides, whether or not its condition is met. Grouped by
# the last letter, in the published order within a group.
_STEP_2 = {
    "l": (("ational", "ate"), ("tional", "tion")),
    "i": (
        ("enci", "ence"),
        ("anci", "ance"),
        ("bli", "ble"),
        ("alli", "al"),
        ("entli", "ent"),
        ("eli", "e"),
        ("ousli", "ous"),
        ("aliti", "al"),
        ("iviti", "ive"),
        ("biliti", "ble"),
        ("fulli", "ful"),
    ),
    "r": (("izer", "ize"), ("ator", "ate")),
    "n": (("ization", "ize"), ("ation", "ate")),
    "m": (("alism", "al"),),
    "s": (("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous")),
}
_STEP_3 = {
    "e": (("icate", "ic"), ("ative", ""), ("alize", "al")),
    "i": (("iciti", "ic"),),
    "l": (("ical", "ic"), ("ful", "")),
    "s": (("ness", ""),),
}
_STEP_4 = {
    "l": ("al",),
    "e": ("ance", "ence", "able", "ible", "ate", "ive", "ize"),
    "r": ("er",),
    "c": ("ic",),
    "t": ("ant", "ement", "ment", "ent"),
    "n": ("ion",),
    "u": ("ou",),
    "m": ("ism",),
    "i": ("iti",),
    "s": ("ous",),
}


def stem(word: str) -> str:
    """The stem of a word, lower-cased. Equal to nltk 3.10.4 `PorterStemmer().stem(word)`.

    Time and memory are linear in the length of the word.
    """
    result = word.lower()
    if result in _IRREGULAR:
        return _IRREGULAR[result]
    if len(word) <= 2:
        return result
    result = _step_1c(_step_1b(_step_1a(result)))
    return _step_5(_step_4(_step_3(_step_2(result))))


def _shape(text: str) -> str:
    """The text with every y replaced by a vowel or a consonant, depending on how it sounds there.

    A y after a consonant is a vowel; any other y is a consonant.
    """
    if "y" not in text:
        return text
    letters = list(text)
    after_consonant = False
    for place, letter in enumerate(letters):
        if letter == "y":
            letters[place] = "a" if after_consonant else "b"
            after_consonant = not after_consonant
        else:
            after_consonant = letter not in _VOWELS
    return "".join(letters)


def _measure(text: str) -> int:
    """Porter's m: the number of times that a vowel is followed by a consonant."""
    return len(_VOWEL_THEN_CONSONANT.findall(_shape(text)))


def _has_vowel(text: str) -> bool:
    return not _VOWELS.isdisjoint(_shape(text))


def _ends_short(text: str) -> bool:
    """Porter's *o, consonant-vowel-consonant but w, x, y; nltk adds: vowel-consonant alone."""
    shape = _shape(text)
    if len(text) == 2:
        return shape[0] in _VOWELS and shape[1] not in _VOWELS
    return (
        len(text) > 2
        and shape[-1] not in _VOWELS
        and shape[-2] in _VOWELS
        and shape[-3] not in _VOWELS
        and text[-1] not in "wxy"
    )


def _step_1a(word: str) -> str:
    if not word.endswith("s"):
        return word
    if word.endswith("ies"):
        # nltk: "dies" keeps its e, "flies" does not.
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("sses"):
        return word[:-2]
    return word if word.endswith("ss") else word[:-1]


def _step_1b(word: str) -> str:
    if word.endswith("ied"):
        # nltk: "died" keeps its e, "spied" does not.
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for suffix in ("ed", "ing"):
        if word.endswith(suffix):
            rest = word[: -len(suffix)]
            return _repair(rest) if _has_vowel(rest) else word
    return word


def _repair(rest: str) -> str:
    """What follows the removal of -ed or -ing: siz(ed) -> size, hopp(ing) -> hop, fil(ing) -> file.

    Any other ending stays.
    """
    if rest.endswith(("at", "bl", "iz")):
        return rest + "e"
    if len(rest) > 1 and rest[-1] == rest[-2] and _shape(rest)[-1] not in _VOWELS:
        return rest if rest[-1] in "lsz" else rest[:-1]
    if _measure(rest) == 1 and _ends_short(rest):
        return rest + "e"
    return rest


def _step_1c(word: str) -> str:
    # nltk: only after a consonant that is not the whole rest: "happi", "spi", but "enjoy", "by".
    rest = word[:-1]
    if word.endswith("y") and len(rest) > 1 and _shape(rest)[-1] not in _VOWELS:
        return rest + "i"
    return word


def _step_2(word: str) -> str:
    if word.endswith("alli") and _measure(word[:-4]) > 0:
        # nltk: -alli goes first and what is left passes this step again.
        return _step_2(word[:-2])
    for suffix, replacement in _STEP_2.get(word[-1:], ()):
        if word.endswith(suffix):
            rest = word[: -len(suffix)]
            return rest + replacement if _measure(rest) > 0 else word
    # nltk: the l counts as part of the rest, so that "geologi" is reduced like "philologi".
    if word.endswith("logi") and _measure(word[:-3]) > 0:
        return word[:-1]
    return word


def _step_3(word: str) -> str:
    for suffix, replacement in _STEP_3.get(word[-1:], ()):
        if word.endswith(suffix):
            rest = word[: -len(suffix)]
            return rest + replacement if _measure(rest) > 0 else word
    return word


def _step_4(word: str) -> str:
    for suffix in _STEP_4.get(word[-1:], ()):
        if word.endswith(suffix):
            rest = word[: -len(suffix)]
            fits = _measure(rest) > 1 and (suffix != "ion" or rest[-1] in "st")
            return rest if fits else word
    return word


def _step_5(word: str) -> str:
    if word.endswith("e"):
        rest = word[:-1]
        measure = _measure(rest)
        if measure > 1 or (measure == 1 and not _ends_short(rest)):
            word = rest
    if word.endswith("ll") and _measure(word[:-1]) > 1:
        return word[:-1]
    return word
