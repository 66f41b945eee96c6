"""How the packages split text into tokens, and the bounded cache that the metrics use."""

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
"""About three times the vocabulary of a novel; a full cache is emptied."""

CACHE_LONGEST = 40
"""Longest token that is cached, in characters; longer ones are not words."""


class TokenCache(dict[str, Value], Generic[Value]):
    """Caches what `compute` returns for a token; look it up with `cache[token]`.

    It holds at most `CACHE_ENTRIES` tokens of at most `CACHE_LONGEST` characters, so that hostile text
    cannot fill memory. Emptying is cheaper than evicting entries one by one: words follow Zipf's law,
    so the useful entries are back after a few texts, and a hit remains a plain dict look-up. Safe
    between threads, which at worst compute a value twice.
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


# ASCII letters, lower-cased, and digits; a space for any other byte.
_LATIN = bytes(ord(chr(byte).lower()) if chr(byte).isalnum() else 32 for byte in range(128))
_LATIN += b" " * 128


def latin_tokens(text: str) -> list[bytes]:
    """rouge_score's tokens: lower-cased runs of a-z and 0-9; all other characters are separators.

    As in rouge_score 0.1.2, lower-casing is done first: the Kelvin sign becomes a k, and a dotted
    capital I an i. Text in other scripts has no tokens at all.
    """
    return _latin_bytes(text).split()


def _latin_bytes(text: str) -> bytes:
    if not text.isascii():
        text = text.lower()
    # Characters outside ASCII are encoded as "?", a separator like any other sign.
    return text.encode("ascii", "replace").translate(_LATIN)


rouge_stem_cache: TokenCache[str] = TokenCache(lambda word: stem(word) if len(word) > 3 else word)


def stemmed_latin_tokens(text: str) -> list[str]:
    """rouge_score's tokens with use_stemmer=True: words of more than three letters are stemmed."""
    return [*map(rouge_stem_cache.__getitem__, _latin_bytes(text).decode("ascii").split())]


# The four substitutions of mteval-v13a as in sacrebleu 2.6.0, in order.
_13A = (
    (re.compile(r"([{-~\[-`!-&(-+:-@/])"), r" \1 "),
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)
_DIGITS = "0123456789"
# Signs whose treatment depends on a digit: "3.14" stays whole, "10-" loses its dash, and in "..5"
# the second full stop stays with the 5, because the first was consumed by a match before.
_NUMBER_SIGNS = re.compile(r"[0-9.,][.,][0-9]|[0-9]-")
# Signs that are always split off; . and , are too, where `_NUMBER_SIGNS` does not match.
_PADDED = [(sign, f" {sign} ") for sign in '!"#$%&()*+/:;<=>?@[\\]^_`{|}~.,']


def tokens_13a(text: str) -> list[str]:
    """The tokens of sacrebleu's default tokenizer, mteval-v13a: case preserved, punctuation split off.

    The effect of its four substitutions is computed in one of two faster ways. Without signs next to
    digits, each kind of sign is split off everywhere or nowhere. Otherwise the text is split word by
    word, with a cache: the substitutions treat all white space alike and never match across it, so a
    word does not depend on its neighbours.
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


# Scripts without spaces between words: each character, with its combining marks, is a token.
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
    # `\w` does not match combining marks, so Hindi or pointed Hebrew words would be split. All of
    # Unicode's marks are in planes 0 and 1, except variation selectors, which carry no meaning.
    mark_class = "".join(
        re.escape(chr(code))
        for code in range(0x300, 0x20000)
        if unicodedata.category(chr(code))[0] == "M"
    )
    return re.compile(rf"[{_UNSPACED}][{mark_class}]*|(?:(?![{_UNSPACED}])[^\W_][{mark_class}]*)+")


def unicode_tokens(text: str) -> list[str]:
    """Tokens for any script; defined by this project, so equal to those of no package.

    The text is normalised to NFKC and case-folded. A token is then a run of Unicode letters, digits
    and their combining marks; in scripts without spaces between words (Chinese, Japanese kana, Thai,
    Lao, Khmer, Burmese) every character with its marks is a separate token. Korean has spaces and is
    split at them. All other characters are separators.
    """
    return _unicode_words().findall(unicodedata.normalize("NFKC", text).casefold())
