"""A text without escapes, blanks and capital letters, in which a key is a plain part.

Escapes can be read in several ways: the `%a1` of `100%a1b2c3` is an escape, or the beginning of a key. So
there are several such texts, in the first of which nothing is read as an escape: what stands in a text as it
is, is found there, whatever stands around it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from functools import lru_cache

_BLANKS = bytes(range(33)) + b"\\\x7f"
_LOWER = bytes(range(256)).lower()
_WIDE_LOWER = bytes(range(256)).decode("latin-1").lower().encode("latin-1")
_PERCENT = rb"%(?:25)*([0-9a-fA-F]{2})"
_HEX = rb"\\{1,16}+x([0-9a-fA-F]{2})"
_UNICODE = rb"\\{1,16}+u00([0-9a-fA-F]{2})"
_WIDE_UNICODE = (
    rb"\\{1,16}+(?:u([0-9a-fA-F]{4})(?:\\{1,16}+u([dD][c-fC-F][0-9a-fA-F]{2}))?"
    rb"|U000([0-9a-fA-F]{5}))"
)
_ENTITY = rb"&(?:#0*([0-9]{1,7})|#[xX]0*([0-9a-fA-F]{1,6})|[a-zA-Z][a-zA-Z0-9]{1,31});?"
"""With limits: Python reads no longer number."""
_TWO_BYTES = rb"[\xc2\xc3][\x80-\xbf]"
"""A character from U+0080 to U+00FF as UTF-8 writes it.

Patterns are compiled when they are first used: most runs ask no endpoint.
"""
_ROUNDS = 3
"""Escapes inside escapes that are resolved."""


def views(text: bytes, *, wide: bool) -> Iterator[bytes]:
    r"""The text as it is, and after each kind of escape is resolved, that of JSON first.

    Args:
        text: what is searched, or a key.
        wide: whether other characters than those of ASCII matter. An escape such as `\u00e4` may be the
            character or one byte of its UTF-8, so those up to U+00FF become one byte.
    """
    yield from _without_blanks(text, wide)
    kinds = _kinds(text, wide)
    for _ in range(_ROUNDS):
        before = text
        for sign, pattern, replace in kinds:
            if sign in text and (resolved := re.sub(pattern, replace, text)) != text:
                text = resolved
                yield from _without_blanks(text, wide)
        if text == before:
            break


def flat(text: bytes) -> bytes:
    """The shortest of these texts."""
    return min(views(text, wide=False), key=len)


@lru_cache(maxsize=1024)
def needles(key: str) -> frozenset[bytes]:
    """What is searched in the views of a text."""
    forms = (key.encode("utf-8", "replace"), *spellings(key))
    wide = not key.isascii()
    return frozenset(view for form in forms for view in views(form, wide=wide))


def spellings(key: str) -> Iterator[bytes]:
    """The key as hexadecimal and base64 write it, the latter wherever it stands in a longer text."""
    text = key.encode("utf-8", "replace")
    yield text.hex().encode()
    for shift, first in enumerate((0, 2, 3)):
        encoded = base64.b64encode(bytes(shift) + text).rstrip(b"=")
        last = len(encoded) - bool(
            (shift + len(text)) % 3
        )  # its last character depends on what follows
        core = encoded[first:last]
        yield core
        if (other := core.translate(bytes.maketrans(b"+/", b"-_"))) != core:
            yield other


Replace = Callable[[re.Match[bytes]], bytes]


def _kinds(text: bytes, wide: bool) -> list[tuple[bytes, bytes, Replace]]:
    """The kinds of escapes: a sign without which there are none, a pattern, and what it becomes."""
    kinds: list[tuple[bytes, bytes, Replace]] = []
    # One character is found far sooner than two, and lists of numbers have no backslash.
    if b"\\" in text or b"%" in text or b"&" in text:
        kinds.append((b"\\", _WIDE_UNICODE, _unicode) if wide else (b"\\u00", _UNICODE, _byte))
        kinds += [(b"\\x", _HEX, _byte), (b"&", _ENTITY, _entity), (b"%", _PERCENT, _byte)]
    if wide:
        kinds.append((b"", _TWO_BYTES, _narrow))
    return kinds


def _without_blanks(text: bytes, wide: bool) -> Iterator[bytes]:
    lower = _WIDE_LOWER if wide else _LOWER
    if wide and not text.isascii():
        folded = text.decode("utf-8", "surrogateescape").casefold()
        text = folded.encode("utf-8", "surrogateescape")
    yield text.translate(lower, _BLANKS)
    if b"\\" in text:
        for escape in (b"\\n", b"\\r", b"\\t", b"\\f", b"\\b"):
            text = text.replace(escape, b"")
        yield text.translate(lower, _BLANKS)


def _byte(match: re.Match[bytes]) -> bytes:
    return bytes((int(match[1], 16),))


def _narrow(match: re.Match[bytes]) -> bytes:
    return match[0].decode().encode("latin-1")


def _unicode(match: re.Match[bytes]) -> bytes:
    return _of_units(match[1] or b"", match[2] or b"", match[3] or b"")


@lru_cache(maxsize=1 << 14)
def _of_units(first: bytes, second: bytes, long: bytes) -> bytes:
    if long:
        return _short(chr(int(long, 16)))
    return _short(bytes.fromhex((first + second).decode()).decode("utf-16-be", "replace"))


def _entity(match: re.Match[bytes]) -> bytes:
    return _of_entity(match[0], match[1] or b"", match[2] or b"")


@lru_cache(maxsize=1 << 14)
def _of_entity(whole: bytes, decimal: bytes, hexadecimal: bytes) -> bytes:
    if decimal or hexadecimal:
        code = int(decimal) if decimal else int(hexadecimal, 16)
        return _short(chr(code)) if code <= 0x10FFFF else whole
    import html  # its table of names takes time to load

    return _short(html.unescape(whole.decode()))


def _short(text: str) -> bytes:
    """Characters up to U+00FF as one byte, others in UTF-8."""
    return b"".join(
        char.encode("latin-1" if char <= "\xff" else "utf-8", "replace") for char in text
    )
