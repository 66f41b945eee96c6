"""METEOR.

Lavie and Agarwal, "METEOR: An Automatic Metric for MT Evaluation with High Levels of Correlation
with Human Judgments" (2007), as computed by nltk 3.10.4 with WordNet 3.0:
`meteor_score([reference.split()], answer.split())`.
"""

from __future__ import annotations

from operator import sub

from graders_engine.metrics.porter import stem
from graders_engine.metrics.tokens import TokenCache
from graders_engine.metrics.wordnet import synonyms

ALPHA = 0.9
BETA = 3.0
GAMMA = 0.5
"""nltk's defaults: the weight of precision, the shape and the weight of the penalty."""

_NOBODY = -2
"""The partner of a token without one; no place, and not the neighbour of a place either."""

_stems: TokenCache[str] = TokenCache(stem)
_synonyms: TokenCache[frozenset[str]] = TokenCache(synonyms)


def meteor(answer: str, reference: str) -> float:
    """Matches of words, of stems and of synonyms, with a penalty for broken order, 0 to 1.

    Tokens are what white space separates, lower-cased. Identical texts score less than 1, the less
    the shorter they are (0.5 for one token); texts without a match, and empty ones, score 0. Time
    and memory grow with the length of the texts.
    """
    mine, theirs = answer.lower().split(), reference.lower().split()
    partners = _same_words(mine, theirs)
    left = [place for place, partner in enumerate(partners) if partner == _NOBODY]
    matches = len(mine) - len(left)
    if left and matches < len(theirs):
        matches += _same_meaning(mine, theirs, partners, left)
    if not matches:
        return 0.0
    # Each match opens a chunk unless both of its tokens directly follow those of another match.
    chunks: int = matches - [*map(sub, partners[1:], partners)].count(1)
    # The order of these operations is nltk's, for equality to the last bit.
    precision = matches / len(mine)
    recall = matches / len(theirs)
    mean = (precision * recall) / (ALPHA * precision + (1 - ALPHA) * recall)
    penalty = GAMMA * (chunks / matches) ** BETA
    score: float = (1 - penalty) * mean
    return score


def _same_words(mine: list[str], theirs: list[str]) -> list[int]:
    """For each token of `mine` the place of its partner in `theirs`, the same word.

    As in nltk, tokens choose from the last to the first, and each takes the last one still free.
    """
    free: dict[str, int] = {}  # word -> its last free place
    before = []  # place -> the place that is the last free one when this is taken
    for place, word in enumerate(theirs):
        before.append(free.get(word, _NOBODY))
        free[word] = place
    partners = []
    for word in reversed(mine):
        place = free.get(word, _NOBODY)
        partners.append(place)
        if place >= 0:
            free[word] = before[place]
    partners.reverse()
    return partners


def _same_meaning(mine: list[str], theirs: list[str], partners: list[int], left: list[int]) -> int:
    """Find partners for the tokens at the places `left`; the number of partners found.

    As in nltk, first by equal stems, then by WordNet's synonyms of the stem; again from the last to
    the first, each taking the last one still free.
    """
    found = 0
    free: dict[str, list[int]] = {}
    for place in sorted(set(range(len(theirs))).difference(partners)):
        free.setdefault(_stems[theirs[place]], []).append(place)
    still_left = []
    for place in reversed(left):
        own = _stems[mine[place]]
        if own in free:
            partners[place] = _take(free, own)
            found += 1
        else:
            still_left.append((place, own))
    for place, own in still_left:
        words = _synonyms[own]
        if not free.keys().isdisjoint(words):
            partners[place] = _take(free, max(words & free.keys(), key=lambda word: free[word][-1]))
            found += 1
    return found


def _take(free: dict[str, list[int]], word: str) -> int:
    places = free[word]
    place = places.pop()
    if not places:
        del free[word]
    return place
