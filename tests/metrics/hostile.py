"""Texts that are hard for a tokenizer, of any length, and random pairs in which much of them meets."""

from __future__ import annotations

import random
from collections.abc import Callable

from .pairs import BLANKS, WORDS

SPACES = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
"""Every character at which str.split splits."""

SIGNS = f"aBb1 .,-&;<y'/\n\x00\ud800\udfff\u00e9\u0130\u03a3\u212a\u200b\u4eca\U0001f600{SPACES}"


def _filled(part: str) -> Callable[[int], tuple[str, str]]:
    """A part again and again, and the same with a word in front and one character less."""
    return lambda size: ((part * size)[:size], ("cat " + part * size)[: size - 1])


def _numbers(start: int, form: str) -> Callable[[int], str]:
    return lambda size: " ".join(form.format(n) for n in range(start, start + size // 6))[:size]


def _different(form: str) -> Callable[[int], tuple[str, str]]:
    return lambda size: (_numbers(0, form)(size), _numbers(size // 60, form)(size))


SHAPES: dict[str, Callable[[int], tuple[str, str]]] = {
    "one word": _filled("a "),
    "one token": _filled("aB"),
    "different words": _different("{}"),
    "long words alike": _different("internationalization{}"),
    "few words": _filled("the cat sat on a mat and a dog sat on the cat's other mat. "),
    "NUL": _filled("\x00a \x00\x00 b\x00"),
    "lone surrogates": _filled("\ud800 \udfff a\ud800b "),
    "white space": _filled("x".join(SPACES)),
    "only white space": _filled(SPACES),
    "marks": _filled("!a?(b)...[c]{d},,"),
    "signs beside digits": _filled("1,2-3.4..5 -.5, 10-a,1.,"),
    "entities": _filled("&amp;lt; &quot;a&gt;b &amp;amp;quot; <skipped> &"),
    "hyphens at line ends": _filled("semi-\ncolon -\n-\n"),
    "CJK": _filled("今天天气很好。\u3000明天 "),
    "emoji": _filled("👍🏽 😀a é e\u0301 "),
    "Kelvin signs": _filled("25\u212aB \u0130i Straße ΣΑΣ K "),
    "zero width": _filled("yes\u200bno \ufeffa\u2060b "),
}


def random_pair(dice: random.Random) -> tuple[str, str]:
    """A text of up to a few hundred words, and an edited copy of it or another one."""
    answer = _random_text(dice)
    if dice.random() < 0.5:
        return answer, _random_text(dice)
    characters = list(answer)
    for _ in range(dice.randrange(6)):
        if characters:
            characters[dice.randrange(len(characters))] = dice.choice(SIGNS)
    return answer, "".join(characters)


def _random_text(dice: random.Random) -> str:
    kind = dice.random()
    if kind < 0.3:
        return "".join(dice.choices(SIGNS, k=dice.randrange(60)))
    if kind < 0.4:
        return "".join(chr(dice.randrange(0x11000)) for _ in range(dice.randrange(40)))
    pool = dice.sample(WORDS, dice.choice((2, 5, 20, 60)))
    blanks = dice.sample(BLANKS, dice.choice((1, 2, 6)))
    length = dice.choice((0, 1, 3, 10, 30, 80, 300))
    return "".join(dice.choice(pool) + dice.choice(blanks) for _ in range(length))
