"""Texts as they are searched: without differences of case, as bytes, many in one."""

from __future__ import annotations

SEPARATOR = b"\xff"
"""Ends each text among others; no text has it, so that nothing is found across two of them."""


def fold(text: str) -> bytes:
    """A text without differences of case ("ß" is "ss"), as UTF-8, in which lone surrogates may stand."""
    return text.casefold().encode(errors="surrogatepass")
