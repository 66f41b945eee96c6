"""fuzzy_match: rapidfuzz's ratio.

`rapidfuzz.fuzz.ratio(answer, reference) / 100` of rapidfuzz 3.14.6 without a processor: the
normalised Indel similarity, 2 * LCS / (sum of lengths) on code points. Case, white space and
punctuation count. Two empty texts score 1.
"""

from __future__ import annotations

from rapidfuzz import fuzz

_similarity = fuzz.ratio

LONG = 1024
"""Characters, of the shorter text. From here a guess at the result pays for itself."""

SLOW_PRODUCT = 400_000_000
"""Product of two lengths from which a comparison takes more than some 10 ms."""

SAMPLE = 256
"""Characters at the start of both texts that the guess is made from."""


def ratio(answer: str, reference: str) -> float:
    """Share of characters in a longest common subsequence, 0 to 1.

    Memory grows with the length of the texts, time with the product of their lengths divided by 64:
    100 kB each take up to a quarter of a second, 1 MB each up to half a minute.
    """
    if len(answer) >= LONG and len(reference) >= LONG:
        return _long_ratio(answer, reference)
    return _similarity(answer, reference) / 100


def _long_ratio(answer: str, reference: str) -> float:
    # Told that only results above a cutoff matter, rapidfuzz computes no more than the band of the
    # table that can reach it, and returns the exact result or 0. So alike texts, recognised by
    # their beginnings, are compared in a fraction of the time.
    guess = _similarity(answer[:SAMPLE], reference[:SAMPLE])
    if guess > 70:
        found = _similarity(answer, reference, score_cutoff=guess - 10)
        if found:
            return found / 100
    if len(answer) * len(reference) < SLOW_PRODUCT:
        return _similarity(answer, reference) / 100
    # The same function, called so that it lets other threads run meanwhile.
    import numpy
    from rapidfuzz.process import cpdist

    pair = cpdist([answer], [reference], scorer=_similarity, dtype=numpy.float64, workers=1)
    return float(pair[0]) / 100
