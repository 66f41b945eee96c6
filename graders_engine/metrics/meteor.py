"""METEOR.

Lavie and Agarwal, "METEOR: An Automatic Metric for MT Evaluation with High Levels of Correlation
with Human Judgments" (2007), as computed by nltk 3.10.4 with WordNet 3.0:
`meteor_score([reference.split()], input.split())`.
"""

from __future__ import annotations

from graders_engine.metrics.porter import stem
from graders_engine.metrics.tokens import TokenCache
from graders_engine.metrics.wordnet import synonyms

ALPHA = 0.9
BETA = 3.0
GAMMA = 0.5
"""nltk's defaults: the weight of precision, the shape and the weight of the penalty."""

_stems: TokenCache[str] = TokenCache(stem)
_synonyms: TokenCache[frozenset[str]] = TokenCache(synonyms)


def meteor(input: str, reference: str) -> float:
    """Matches of words, of stems and of synonyms, with a penalty for broken order, 0 to 1.

    Tokens are what white space separates, lower-cased. Identical texts score less than 1, the less
    the shorter they are (0.5 for one token); texts without a match, and empty ones, score 0. Time
    and memory grow with the length of the texts.
    """
    mine, theirs = input.lower().split(), reference.lower().split()
    partners, matches = _align(mine, theirs)
    if not matches:
        return 0.0
    # The order of these operations is nltk's, for equality to the last bit.
    precision = matches / len(mine)
    recall = matches / len(theirs)
    mean = (precision * recall) / (ALPHA * precision + (1 - ALPHA) * recall)
    chunks = _chunks(partners)
    penalty = GAMMA * (chunks / matches) ** BETA
    return (1 - penalty) * mean


def _align(mine: list[str], theirs: list[str]) -> tuple[list[int], int]:
    """Who goes with whom: for each token of `mine` its partner's place or -2, and how many have one.

    As in nltk, three rounds (words, stems, synonyms of stems), each greedy from the end.
    """
    partners = [-2] * len(mine)
    places: dict[str, list[int]] = {}
    for place, word in enumerate(theirs):
        places.setdefault(word, []).append(place)
    left = []
    for place in range(len(mine) - 1, -1, -1):
        free = places.get(mine[place])
        if free:
            partners[place] = free.pop()
        else:
            left.append(place)
    matches = len(mine) - len(left)
    if not left or matches == len(theirs):
        return partners, matches

    unused = sorted(place for free in places.values() for place in free)
    stems: dict[str, list[int]] = {}
    for place in unused:
        stems.setdefault(_stems[theirs[place]], []).append(place)
    for place in left:
        own = _stems[mine[place]]
        free = stems.get(own)
        if free:
            partners[place] = free.pop()
            matches += 1
    stems = {word: free for word, free in stems.items() if free}
    for place in left:
        if partners[place] >= 0 or not stems:
            continue
        own = _stems[mine[place]]
        # Other than the stem itself, which found no partner in the round before.
        words = _synonyms[own]
        if stems.keys().isdisjoint(words):
            continue
        best = max((stems[word][-1], word) for word in words if word in stems)
        word = best[1]
        partners[place] = stems[word].pop()
        if not stems[word]:
            del stems[word]
        matches += 1
    return partners, matches


def _chunks(partners: list[int]) -> int:
    """The number of runs of neighbours whose partners are neighbours in the same order."""
    chunks = 0
    previous = -2
    for partner in partners:
        if partner >= 0 and (partner != previous + 1):
            chunks += 1
        previous = partner
    return chunks
