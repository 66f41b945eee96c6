"""How many n-grams two token lists share, counted with clipping.

An n-gram that occurs x times in one text and y times in the other is shared min(x, y) times: the
count below BLEU, GLEU and ROUGE-N. Time and memory grow with the number of tokens.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import count, pairwise
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Token = TypeVar("Token", str, bytes)

ORDERS = (1, 2, 3, 4)
"""The lengths of the n-grams that BLEU and GLEU count."""

SHORT = 48
"""Tokens. Up to here counting a few repeats one by one beats building a table of counts."""


def grams(tokens: Sequence[Token], order: int) -> Iterable[object]:
    """The n-grams of a token list, in order: tokens themselves for order 1, else tuples."""
    if order == 1:
        return tokens
    if order == 2:
        return pairwise(tokens)
    return zip(*[tokens[start:] for start in range(order)], strict=False)


def shared(mine: Sequence[Token], theirs: Sequence[Token], order: int) -> int:
    """The number of n-grams of `mine` that `theirs` has too, each at most as often as there."""
    if len(theirs) > SHORT:
        return _shared_long(grams(mine, order), grams(theirs, order))
    return _shared_short(grams(mine, order), [*grams(theirs, order)])


def _shared_short(mine: Iterable[object], theirs: list[object]) -> int:
    distinct = set(theirs)
    known = [*filter(distinct.__contains__, mine)]
    unseen = set(known)
    count = len(unseen)
    if count == len(known) or len(distinct) == len(theirs):
        return count
    repeats = set()
    for gram in known:
        if gram in unseen:
            unseen.remove(gram)
        else:
            repeats.add(gram)
    for gram in repeats:
        count += min(known.count(gram), theirs.count(gram)) - 1
    return count


def _shared_long(mine: Iterable[object], theirs: Iterable[object]) -> int:
    limits = Counter(theirs)
    known = [*filter(limits.__contains__, mine)]
    counts = Counter(known)
    if len(counts) == len(known):
        return len(known)
    shared = 0
    for gram, count in counts.items():
        if count > 1:
            limit = limits[gram]
            shared += count if count < limit else limit
        else:
            shared += 1
    return shared


def numbered(mine: Sequence[Token], theirs: Sequence[Token]) -> tuple[list[int], list[int]]:
    """Both token lists as numbers, equal numbers for equal tokens only."""
    numbers: defaultdict[Token, int] = defaultdict(count().__next__)
    number = numbers.__getitem__
    return [*map(number, mine)], [*map(number, theirs)]


def shared_by_order(mine: Sequence[Token], theirs: Sequence[Token]) -> list[int]:
    """`shared` for each of `ORDERS`."""
    counts = []
    for order in ORDERS:
        count = shared(mine, theirs, order)
        counts.append(count)
        if not count:
            # No longer n-gram can be shared either.
            return counts + [0] * (len(ORDERS) - order)
    return counts
