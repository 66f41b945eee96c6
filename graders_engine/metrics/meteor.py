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
"""nltk's defaults: the weight of precision, and the exponent and weight of the penalty."""

_UNMATCHED = -2
"""The partner of a token without a match: neither a position nor next to one."""

stem_cache: TokenCache[str] = TokenCache(stem)
synonym_cache: TokenCache[frozenset[str]] = TokenCache(synonyms)


def meteor(answer: str, reference: str) -> float:
    """Matches of words, stems and synonyms, with a penalty for broken order, 0 to 1.

    Tokens are separated by white space and lower-cased. Identical texts score less than 1, shorter ones
    lower (0.5 for one token); texts without a match, such as empty ones, score 0. Time and memory are
    linear in the length of the texts.
    """
    answer_tokens, reference_tokens = answer.lower().split(), reference.lower().split()
    partners = _same_words(answer_tokens, reference_tokens)
    left = [place for place, partner in enumerate(partners) if partner == _UNMATCHED]
    matches = len(answer_tokens) - len(left)
    if left and matches < len(reference_tokens):
        matches += _same_meaning(answer_tokens, reference_tokens, partners, left)
    if not matches:
        return 0.0
    # Each match opens a chunk unless both of its tokens directly follow those of another match.
    chunks: int = matches - [*map(sub, partners[1:], partners)].count(1)
    # Operations are in the same order as in nltk, for equality to the last bit.
    precision = matches / len(answer_tokens)
    recall = matches / len(reference_tokens)
    mean = (precision * recall) / (ALPHA * precision + (1 - ALPHA) * recall)
    penalty = GAMMA * (chunks / matches) ** BETA
    score: float = (1 - penalty) * mean
    return score


def _same_words(answer_tokens: list[str], reference_tokens: list[str]) -> list[int]:
    """For each token of the answer, the place of its partner in the reference: the same word.

    As in nltk, tokens choose in order from the last to the first, and each takes the last free partner.
    """
    free: dict[str, int] = {}  # word -> its last free place
    before = []  # place -> the last free place of the same word once this one is taken
    for place, word in enumerate(reference_tokens):
        before.append(free.get(word, _UNMATCHED))
        free[word] = place
    partners = []
    for word in reversed(answer_tokens):
        place = free.get(word, _UNMATCHED)
        partners.append(place)
        if place >= 0:
            free[word] = before[place]
    partners.reverse()
    return partners


def _same_meaning(
    answer_tokens: list[str], reference_tokens: list[str], partners: list[int], left: list[int]
) -> int:
    """Find partners for the tokens at the places `left`; returns how many were found.

    As in nltk, first by equal stems, then by WordNet's synonyms of the stem; again in order from the last
    to the first, each taking the last free partner.
    """
    found = 0
    free: dict[str, list[int]] = {}
    for place in sorted(set(range(len(reference_tokens))).difference(partners)):
        free.setdefault(stem_cache[reference_tokens[place]], []).append(place)
    still_left = []
    for place in reversed(left):
        stemmed = stem_cache[answer_tokens[place]]
        if stemmed in free:
            partners[place] = _take_last(free, stemmed)
            found += 1
        else:
            still_left.append((place, stemmed))
    for place, stemmed in still_left:
        words = synonym_cache[stemmed]
        if not free.keys().isdisjoint(words):
            partners[place] = _take_last(
                free, max(words & free.keys(), key=lambda word: free[word][-1])
            )
            found += 1
    return found


def _take_last(free: dict[str, list[int]], word: str) -> int:
    places = free[word]
    place = places.pop()
    if not places:
        del free[word]
    return place
