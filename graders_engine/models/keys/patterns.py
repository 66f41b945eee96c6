"""Patterns of the forms of a key that can be replaced."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from graders_engine.models.keys.views import spellings

_BLANKS = rb"(?>[\x00-\x20\x7f\\]{0,16})"
_BETWEEN = rb"(?>(?:[\x00-\x20\x7f\\]|(?<=\\)[nrtfb]){0,16})"
"""What may stand between two characters of a key: blanks, as they are or as JSON escapes.

A group that repeats is made atomic by `(?>…)`: before Python 3.11.5, `+` behind it loses matches.
"""


def patterns(key: str) -> Iterator[re.Pattern[bytes]]:
    """Those that are needed most often first; each is compiled when it is asked for, which takes time."""
    for number in range(2 + len(list(spellings(key)))):
        yield _pattern(key, number)


@lru_cache(maxsize=1024)
def _pattern(key: str, number: int) -> re.Pattern[bytes]:
    if number == 0:
        text = _as_it_is(key)
    elif number == 1:
        text = rb"(?>\\{1,16}(?=[ux]))?" + _BETWEEN.join(map(_any_form, key))
    else:
        text = _BETWEEN.join(_in_base64(char) for char in list(spellings(key))[number - 2].decode())
    return re.compile(text, re.IGNORECASE)


def _as_it_is(key: str) -> bytes:
    """Nothing in it is read as an escape, so that what looks like one in a key is found, too."""
    chars = [char for char in key if char > " " and char not in "\\\x7f"]
    return _BLANKS.join(b"(?:" + b"|".join(_encoded(char)) + b")" for char in chars)


def _in_base64(char: str) -> bytes:
    return char.encode() if char.isalnum() else _any_form(char)


def _cases(char: str) -> list[str]:
    """A pattern for bytes knows the capital letters of ASCII alone."""
    return [char] if char.isascii() else list(dict.fromkeys((char, char.lower(), char.upper())))


def _encoded(char: str) -> list[bytes]:
    """Patterns of the character in UTF-8, in Latin-1, and in UTF-8 that was read as Latin-1."""
    found = []
    for case in _cases(char):
        plain = case.encode("utf-8", "replace")
        found.append(re.escape(plain))
        if not case.isascii():
            found.append(re.escape(plain.decode("latin-1").encode()))
            found += [_in_latin_1(case)] if len(case) == 1 and case <= "\xff" else []
    return found


def _in_latin_1(char: str) -> bytes:
    """No byte of another character in UTF-8, half of which would be left."""
    byte = re.escape(char.encode("latin-1"))
    return rb"(?<![\x80-\xff])%b" % byte if char < "\xc0" else rb"%b(?![\x80-\xbf])" % byte


def _any_form(char: str) -> bytes:
    """A pattern for one character, as it is or escaped."""
    if char.isspace() and char.isascii():
        return rb"(?>(?:[\s+]|%(?:25)*20)*)"
    forms = []
    for case in _cases(char):
        forms += _percents(case)
        for part in case:
            forms += _escapes(part)
    if char == "\\":  # as it is, it may stand between any two characters
        return b"(?>(?:" + b"|".join(forms) + b")?)"
    forms += _named(char)
    forms += _encoded(char)
    # Atomic, as all is that repeats: an endpoint must not be able to make the search slow.
    return b"(?>" + b"|".join(forms) + b")"


def _percents(char: str) -> list[bytes]:
    """Those of addresses: of UTF-8, and of Latin-1."""
    encoded = [char.encode("utf-8", "replace")]
    if len(char) == 1 and "\x80" <= char <= "\xff":
        encoded.append(char.encode("latin-1"))
    return [b"".join(rb"%%(?:25)*%02x" % byte for byte in plain) for plain in encoded]


def _escapes(char: str) -> list[bytes]:
    """Those of JSON, Python and HTML."""
    code = ord(char)
    units = char.encode("utf-16-be", "surrogatepass").hex("-", 2).encode().split(b"-")
    forms = [rb"(?<=\\)u" + rb"\\{1,16}u".join(units)]
    if code < 256:
        forms.append(rb"(?<=\\)x%02x" % code)
    if code > 127:
        single = [b"%02x" % byte for byte in char.encode("utf-8", "replace")]
        forms += [rb"(?<=\\)u00" + rb"\\{1,16}u00".join(single)]
        forms += [rb"(?<=\\)x" + rb"\\{1,16}x".join(single), rb"(?<=\\)u%08x" % code]
    return [*forms, rb"&#0*%d;" % code, rb"&#x0*%x;" % code]


def _named(char: str) -> list[bytes]:
    import html

    if char.isascii():
        return [named.encode()] if (named := html.escape(char)) != char else []
    from html.entities import codepoint2name

    return [
        b"&%s;" % codepoint2name[ord(case)].encode()
        for case in _cases(char)
        if len(case) == 1 and ord(case) in codepoint2name
    ]
