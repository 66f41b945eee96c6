"""fuzzy_match: rapidfuzz's ratio.

`rapidfuzz.fuzz.ratio(answer, reference) / 100` of rapidfuzz 3.14.6 without a processor: the
normalised Indel similarity, 2 * LCS / (sum of lengths) on code points. Case, white space and
punctuation are significant. Two empty texts score 1.
"""

from __future__ import annotations

from rapidfuzz import fuzz

_similarity = fuzz.ratio

LONG = 1024
"""Characters of the shorter text from which estimating the result first saves time."""

SLOW_PRODUCT = 400_000_000
"""Product of two lengths from which a comparison takes more than about 10 ms."""

SAMPLE = 256
"""Characters at the start of both texts that the estimate is made from."""


def ratio(answer: str, reference: str) -> float:
    """Share of characters in a longest common subsequence, 0 to 1.

    Memory is linear in the length of the texts, time in the product of their lengths divided by 64:
    100 kB each take up to a quarter of a second, 1 MB each up to half a minute.
    """
    if len(answer) >= LONG and len(reference) >= LONG:
        return _long_ratio(answer, reference)
    return _similarity(answer, reference) / 100


def _long_ratio(answer: str, reference: str) -> float:
    # Given a cutoff, rapidfuzz computes only the band of the table that can reach it, and returns
    # the exact result or 0. So similar texts, recognised by their beginnings, take a fraction of
    # the time.
    estimate = _similarity(answer[:SAMPLE], reference[:SAMPLE])
    if estimate > 70:
        found = _similarity(answer, reference, score_cutoff=estimate - 10)
        if found:
            return found / 100
    if len(answer) * len(reference) < SLOW_PRODUCT:
        return _similarity(answer, reference) / 100
    # The same function, called in a way that releases the GIL.
    import numpy
    from rapidfuzz.process import cpdist

    pair = cpdist([answer], [reference], scorer=_similarity, dtype=numpy.float64, workers=1)
    return float(pair[0]) / 100
