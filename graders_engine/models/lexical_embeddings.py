"""Embeddings without a model: each word is hashed to a position in the vector.

They measure shared words, not shared meaning ("a dog barks" and "no dog barks" are nearly the same), and are
used only when named explicitly. The method is feature hashing (Weinberger et al., ICML 2009).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

from graders_engine.errors import InvalidRequest

DIMENSIONS = 1024
_WORD = re.compile(r"\w+")


class LexicalEmbeddings:
    """Signed hashing of lower-cased words into 1,024 dimensions."""

    signature = f"lexical, signed CRC-32 hashing of lower-cased words, {DIMENSIONS} dimensions"
    batch = 1

    def __init__(self, argument: str = "") -> None:
        if argument:
            raise InvalidRequest("The embedding backend 'lexical' takes no argument, but has one.")

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector for each text; a text without words gives zeros."""
        return [_vector(text) for text in texts]

    async def close(self) -> None:
        """Does nothing: there is nothing to close."""


def _vector(text: str) -> list[float]:
    vector = [0.0] * DIMENSIONS
    for word in _WORD.findall(text.lower()):
        hashed = zlib.crc32(word.encode("utf-8", "surrogatepass"))
        vector[hashed % DIMENSIONS] += 1.0 if hashed & 0x8000_0000 else -1.0
    return vector
