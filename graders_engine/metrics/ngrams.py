"""How many n-grams two token lists share, counted with clipping.

An n-gram that occurs x times in one text and y times in the other is shared min(x, y) times. BLEU,
GLEU and ROUGE-N are built on this count. Time and memory are linear in the number of tokens.

It is fast because most n-grams of two or more tokens occur once: sets and positions suffice for
those, and only the others are counted.
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
"""Longest text, in tokens, that is checked for having no repeated n-gram; longer ones nearly always do."""

# order -> the n-grams of a list as tuples, in text order. An expression for each order is fastest;
# passing `strict` would take as long as a short text.
_GRAMS: dict[int, Callable[[Sequence[Any]], Iterable[Any]]] = {
    2: pairwise,
    3: lambda t: zip(t, t[1:], t[2:]),  # noqa: B905 - ends with the shortest, see above
    4: lambda t: zip(t, t[1:], t[2:], t[3:]),  # noqa: B905 - as above
    5: lambda t: zip(t, t[1:], t[2:], t[3:], t[4:]),  # noqa: B905 - as above
}


def shared_tokens(answer: Sequence[Token], reference: Sequence[Token]) -> int:
    """The number of tokens of `answer` that are also in `reference`, each at most as often as there."""
    left: dict[Token, int] = {}
    times = left.get
    for token in reference:
        left[token] = times(token, 0) + 1
    matches = 0
    for token in answer:
        count = times(token)
        if count:
            left[token] = count - 1
            matches += 1
    return matches


def shared(answer: Sequence[Token], reference: Sequence[Token], order: int) -> int:
    """The same for n-grams of `order` tokens, from 2 to 5."""
    grams = _GRAMS[order]
    if len(reference) <= SHORT:
        distinct = set(grams(reference))
        if len(distinct) == len(reference) - order + 1:
            return len(distinct.intersection(grams(answer)))
    return _clipped_matches(grams(answer), Counter(grams(reference)))


def _clipped_matches(answer: Iterable[Any], limits: Counter[Any]) -> int:
    known = [*filter(limits.__contains__, answer)]
    counts = Counter(known)
    matches = len(counts)
    if matches < len(known):
        for gram, times in counts.items():
            if times > 1:
                limit = limits[gram]
                matches += (times if times < limit else limit) - 1  # noqa: FURB136 - a call each
    return matches


def shared_by_order(answer: Sequence[Token], reference: Sequence[Token]) -> list[int]:
    """The same for each of `ORDERS`."""
    found = [shared_tokens(answer, reference)]
    while found[-1] and len(found) < len(ORDERS):
        order = len(found) + 1
        if len(reference) <= SHORT:
            found += _shared_from(answer, reference, order)
        else:
            found.append(shared(answer, reference, order))
    # If no n-gram of an order is shared, none of a higher order is.
    return found + [0] * (len(ORDERS) - len(found))


def _shared_from(answer: Sequence[Token], reference: Sequence[Token], order: int) -> list[int]:
    """`shared` for this order and, where it costs almost nothing, for the orders above it."""
    grams = _GRAMS[order]
    # Counted from 2: 0 means "not there", and must not be next to the first place.
    place_of = dict(zip(grams(reference), range(2, len(reference) + 2)))  # noqa: B905 - see _GRAMS
    places = [*map(place_of.get, grams(answer), repeat(0))]
    known = [*filter(None, places)]
    distinct = set(known)
    if len(place_of) == len(reference) - order + 1:
        return [len(distinct), *_shared_runs(places, len(distinct) < len(known), order)]
    if len(distinct) == len(known):
        return [len(known)]
    # Only n-grams that are repeated on both sides are counted. A place identifies its n-gram: it is
    # the last one where the n-gram occurs.
    reference_grams = [*grams(reference)]
    repeated = {reference_grams[place - 2]: n for place, n in Counter(known).items() if n > 1}
    limits = Counter(filter(repeated.__contains__, reference_grams))
    more = sum(min(times, limits[gram]) - 1 for gram, times in repeated.items())
    return [len(distinct) + more]


def _shared_runs(places: list[int], repeats: bool, order: int) -> list[int]:
    """The counts above `order`, when no n-gram of `order` occurs twice in their text.

    Then a longer n-gram is shared if and only if the places of its parts are adjacent in the reference.

    Args:
        places: for each n-gram of the answer, its place in the reference, or 0.
        repeats: whether a place other than 0 occurs twice.
        order: the length of these n-grams.
    """
    steps = bytes(map((1).__eq__, map(sub, places[1:], places)))
    if repeats:
        longer = len(set(compress(places, steps)))
        longest = len(set(compress(places, map(and_, steps, steps[1:]))))
    else:
        # A run of k steps is k n-grams that are one token longer, and k - 1 that are two tokens longer.
        longer = steps.count(1)
        longest = longer - (b"\0" + steps).count(b"\0\1")
    return [longer, longest][: ORDERS[-1] - order]


def as_numbers(answer: Iterable[Token], reference: Iterable[Token]) -> tuple[list[int], list[int]]:
    """Both token lists as numbers, equal numbers for equal tokens only.

    Tokens of `answer` that are not in `reference` are left out: no common sequence contains them.
    """
    numbers: dict[Token, int] = {}
    number = numbers.setdefault
    numbered_reference = [number(token, place) for place, token in enumerate(reference, start=1)]
    return [*filter(None, map(numbers.get, answer))], numbered_reference
