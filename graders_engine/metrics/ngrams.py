"""How many n-grams two token lists share, counted with clipping.

An n-gram that occurs x times in one text and y times in the other is shared min(x, y) times: the
count below BLEU, GLEU and ROUGE-N. Time and memory grow with the number of tokens.

What makes it fast: most n-grams of two or more tokens occur once, so sets and places decide, and
counts are taken only of what does repeat.
"""

from __future__ import annotations

from collections import Counter
from itertools import compress, pairwise, repeat
from operator import and_, sub
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence
    from typing import Any

Token = TypeVar("Token", bound="Hashable")

ORDERS = (1, 2, 3, 4)
"""The lengths of the n-grams that BLEU and GLEU count."""

SHORT = 256
"""Tokens. Longer texts nearly always repeat an n-gram: looking for the lucky case costs more."""

# order -> the n-grams of a list as tuples, in the order of the text. The order is a constant of a
# metric, so each has its own expression; naming `strict` would cost as much as a short text.
_GRAMS: dict[int, Callable[[Sequence[Any]], Iterable[Any]]] = {
    2: pairwise,
    3: lambda t: zip(t, t[1:], t[2:]),  # noqa: B905 - ends with the shortest, see above
    4: lambda t: zip(t, t[1:], t[2:], t[3:]),  # noqa: B905 - as above
    5: lambda t: zip(t, t[1:], t[2:], t[3:], t[4:]),  # noqa: B905 - as above
}


def shared_tokens(mine: Sequence[Token], theirs: Sequence[Token]) -> int:
    """The number of tokens of `mine` that `theirs` has too, each at most as often as there."""
    left: dict[Token, int] = {}
    times = left.get
    for token in theirs:
        left[token] = times(token, 0) + 1
    matches = 0
    for token in mine:
        count = times(token)
        if count:
            left[token] = count - 1
            matches += 1
    return matches


def shared(mine: Sequence[Token], theirs: Sequence[Token], order: int) -> int:
    """The same for n-grams of `order` tokens, 2 to 5."""
    grams = _GRAMS[order]
    if len(theirs) <= SHORT:
        distinct = set(grams(theirs))
        if len(distinct) == len(theirs) - order + 1:
            return len(distinct.intersection(grams(mine)))
    return _clipped_matches(grams(mine), Counter(grams(theirs)))


def _clipped_matches(mine: Iterable[Any], limits: Counter[Any]) -> int:
    known = [*filter(limits.__contains__, mine)]
    counts = Counter(known)
    matches = len(counts)
    if matches < len(known):
        for gram, times in counts.items():
            if times > 1:
                limit = limits[gram]
                matches += (times if times < limit else limit) - 1  # noqa: FURB136 - a call each
    return matches


def shared_by_order(mine: Sequence[Token], theirs: Sequence[Token]) -> list[int]:
    """The same for each of `ORDERS`."""
    found = [shared_tokens(mine, theirs)]
    while found[-1] and len(found) < len(ORDERS):
        order = len(found) + 1
        if len(theirs) <= SHORT:
            found += _shared_from(mine, theirs, order)
        else:
            found.append(shared(mine, theirs, order))
    # Where no n-gram is shared, no longer one is.
    return found + [0] * (len(ORDERS) - len(found))


def _shared_from(mine: Sequence[Token], theirs: Sequence[Token], order: int) -> list[int]:
    """`shared` for this order and, where they come almost for free, for the orders above it."""
    grams = _GRAMS[order]
    # From 2 on: 0 stands for "not there", and must not be a neighbour of the first place.
    place_of = dict(zip(grams(theirs), range(2, len(theirs) + 2)))  # noqa: B905 - see _GRAMS
    places = [*map(place_of.get, grams(mine), repeat(0))]
    known = [*filter(None, places)]
    distinct = set(known)
    if len(place_of) == len(theirs) - order + 1:
        return [len(distinct), *_shared_runs(places, len(distinct) < len(known), order)]
    if len(distinct) == len(known):
        return [len(known)]
    # Only what repeats on both sides is counted. The place stands for the n-gram: it is the last
    # one of its kind.
    theirs_in_order = [*grams(theirs)]
    repeated = {theirs_in_order[place - 2]: n for place, n in Counter(known).items() if n > 1}
    limits = Counter(filter(repeated.__contains__, theirs_in_order))
    more = sum(min(times, limits[gram]) - 1 for gram, times in repeated.items())
    return [len(distinct) + more]


def _shared_runs(places: list[int], repeats: bool, order: int) -> list[int]:
    """The counts above `order`, when no n-gram of `order` occurs twice in their text.

    Then an n-gram is shared if and only if the places of its parts are neighbours there too.

    Args:
        places: for each n-gram of `mine` its place in `theirs`, or 0.
        repeats: whether a place other than 0 occurs twice.
        order: the length of these n-grams.
    """
    steps = bytes(map((1).__eq__, map(sub, places[1:], places)))
    if repeats:
        longer = len(set(compress(places, steps)))
        longest = len(set(compress(places, map(and_, steps, steps[1:]))))
    else:
        # A run of k steps is k n-grams one token longer and k - 1 two tokens longer.
        longer = steps.count(1)
        longest = longer - (b"\0" + steps).count(b"\0\1")
    return [longer, longest][: ORDERS[-1] - order]


def numbered(mine: Iterable[Token], theirs: Iterable[Token]) -> tuple[list[int], list[int]]:
    """Both token lists as numbers, equal numbers for equal tokens only.

    Tokens of `mine` that `theirs` does not have are left out: they are part of no common sequence.
    """
    numbers: dict[Token, int] = {}
    number = numbers.setdefault
    numbered_theirs = [number(token, place) for place, token in enumerate(theirs, start=1)]
    return [*filter(None, map(numbers.get, mine))], numbered_theirs
