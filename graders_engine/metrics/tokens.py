"""How the packages cut text into tokens, and the one bounded cache the metrics share."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Generic, TypeVar

from graders_engine.metrics.porter import stem

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")

CACHE_ENTRIES = 32_768
"""About the vocabulary of a novel three times over; the cache is emptied when it is full."""

CACHE_LONGEST = 40
"""Characters. Longer tokens are no words: they are computed each time and never kept."""


class TokenCache(dict[str, Value], Generic[Value]):
    """What `compute` made of a token, remembered.

    Bounded both ways, so that hostile text cannot fill memory: at most `CACHE_ENTRIES` tokens, each
    of at most `CACHE_LONGEST` characters. Emptying beats evicting one by one: words follow Zipf's
    law, so the useful entries are back after a few texts, and a hit stays a plain dict look-up.
    Looked up with `cache[token]`; safe between threads, which at worst compute a value twice.
    """

    __slots__ = ("_compute",)

    def __init__(self, compute: Callable[[str], Value]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, token: str) -> Value:
        value = self._compute(token)
        if len(token) <= CACHE_LONGEST:
            if len(self) >= CACHE_ENTRIES:
                self.clear()
            self[token] = value
        return value


# ASCII letters in lower case and digits; a space for any other byte.
_LATIN = bytes(ord(chr(byte).lower()) if chr(byte).isalnum() else 32 for byte in range(128))
_LATIN += b" " * 128


def latin_tokens(text: str) -> list[bytes]:
    """rouge_score's tokens: lower-cased runs of a-z and 0-9; all other characters separate.

    As in rouge_score 0.1.2, lower-casing comes first, so that the Kelvin sign becomes a k and a
    dotted capital I an i, and text in other scripts has no tokens at all.
    """
    return _latin_bytes(text).split()


def _latin_bytes(text: str) -> bytes:
    if not text.isascii():
        text = text.lower()
    # Characters beyond ASCII are encoded as "?", which separates like any other sign.
    return text.encode("ascii", "replace").translate(_LATIN)


_rouge_stems: TokenCache[str] = TokenCache(lambda word: stem(word) if len(word) > 3 else word)


def stemmed_latin_tokens(text: str) -> list[str]:
    """rouge_score's tokens with use_stemmer=True: words of more than three letters are stemmed."""
    return [*map(_rouge_stems.__getitem__, _latin_bytes(text).decode("ascii").split())]


# The four substitutions of mteval-v13a as in sacrebleu 2.6.0, in order.
_13A = (
    (re.compile(r"([{-~\[-`!-&(-+:-@/])"), r" \1 "),
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)
_DIGITS = "0123456789"
# Where what happens to a sign depends on a digit: "3.14" stays whole, "10-" loses its dash, and in
# "..5" the second full stop stays with the 5, because the first was used up as a match of its own.
_NUMBER_SIGNS = re.compile(r"[0-9.,][.,][0-9]|[0-9]-")
# All the signs that are cut off wherever they stand, with . and , which are in all other places.
_PADDED = [(sign, f" {sign} ") for sign in '!"#$%&()*+/:;<=>?@[\\]^_`{|}~.,']


def tokens_13a(text: str) -> list[str]:
    """The tokens of sacrebleu's default tokenizer, mteval-v13a: case kept, punctuation split off.

    Two shorter ways to what its four substitutions do. Without signs beside digits, each kind of
    sign is cut off everywhere or nowhere. Else, as the substitutions treat all white space alike and
    never match across it, a word does not depend on its neighbours: it is cached word by word.
    """
    text = text.rstrip()
    if "<" in text:
        text = text.replace("<skipped>", "")
    if "-\n" in text:
        text = text.replace("-\n", "")
    if "&" in text:
        # In this order: "&amp;lt;" ends as "<".
        text = text.replace("&quot;", '"').replace("&amp;", "&")
        text = text.replace("&lt;", "<").replace("&gt;", ">")
    if any(map(text.__contains__, _DIGITS)) and _NUMBER_SIGNS.search(text):
        return [*chain.from_iterable(map(_13a_pieces.__getitem__, text.split()))]
    for sign, padded in _PADDED:
        if sign in text:
            text = text.replace(sign, padded)
    return text.split()


def _split_13a(word: str) -> tuple[str, ...]:
    if word.isalnum():
        return (word,)
    text = f" {word} "
    for pattern, replacement in _13A:
        text = pattern.sub(replacement, text)
    return tuple(text.split())


_13a_pieces: TokenCache[tuple[str, ...]] = TokenCache(_split_13a)


# Scripts written without spaces between words: each character, with the marks on it, is a token.
_UNSPACED = (
    "\u0e01-\u0e2e\u0e2f-\u0e3a\u0e40-\u0e46"  # Thai
    "\u0e81-\u0ec6\u0edc-\u0edf"  # Lao
    "\u1000-\u103f\u1050-\u108f"  # Myanmar
    "\u1780-\u17d3\u17d7"  # Khmer
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # kana
    "\u3100-\u312f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"  # Bopomofo, Han
)


@lru_cache(maxsize=1)
def _unicode_words() -> re.Pattern[str]:
    # `\w` leaves out combining marks, which would cut Hindi or pointed Hebrew words in pieces.
    # All of Unicode's marks lie in planes 0 and 1, but for variation selectors, which say nothing.
    mark_class = "".join(
        re.escape(chr(code))
        for code in range(0x300, 0x20000)
        if unicodedata.category(chr(code))[0] == "M"
    )
    return re.compile(rf"[{_UNSPACED}][{mark_class}]*|(?:(?![{_UNSPACED}])[^\W_][{mark_class}]*)+")


def unicode_tokens(text: str) -> list[str]:
    """Tokens for any script; this project's own definition, equal to no package.

    The text is brought to NFKC and case-folded. A token is then a run of Unicode letters, digits
    and the combining marks on them; in scripts written without spaces between words (Chinese,
    Japanese kana, Thai, Lao, Khmer, Burmese) every character with its marks is a token of its own.
    Korean is written with spaces and is cut there. All else separates.
    """
    return _unicode_words().findall(unicodedata.normalize("NFKC", text).casefold())
