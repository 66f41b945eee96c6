"""The JSON object that a text ends with, and the code fence around an answer."""

from __future__ import annotations

import json
import re
from typing import Any

from graders_engine.language import strict_json

MAX_TRIES = 2_000
"""Braces that open no JSON object, although they look as if they did."""
TAIL_CHARS = 200_000
"""The end of a text that is searched."""
MAX_PARSED_CHARS = 10 * TAIL_CHARS
"""Characters parsed in all: nested objects are parsed repeatedly, and a row may plant them."""
_BRACE = re.compile(r"[{}]")
_JSON_START = re.compile(r'\{\s*["}]')
_OBJECT_START = re.compile(r"\{\s*(?:[\"'\u201c\u201d\u2018\u2019/#]|\w+\s*:)")
"""The beginning of an object, in JSON or in what people and models write for it."""
_FENCE = re.compile(r"(`{3,}|~{3,})[ \t]*[\w.+-]*")
_MIN_FENCE = 3


def without_fence(text: str) -> str:
    """What one code fence encloses, if it encloses the whole text; else the text."""
    fence = _FENCE.match(text)
    if fence is None or not text.endswith(fence[1]) or len(text) < fence.end() + len(fence[1]):
        return text
    return text[fence.end() : -len(fence[1])].strip()


def last_object(text: str) -> tuple[dict[str, Any], int]:
    """The object at the end of a text, and where it begins. Blanks and a closing code fence may follow it.

    Raises:
        ValueError: the text does not end with one, or it may be a part of one that is not complete.
        strict_json.RepeatedKey: it names a key twice.
    """
    text = _without_closing_fence(text.rstrip())
    if not text.endswith("}"):
        raise ValueError("the judge's answer does not end with a verdict")
    text, left_out = text[-TAIL_CHARS:], max(len(text) - TAIL_CHARS, 0)
    decoder = _Decoder()
    unclosed: list[int] = []
    at, parsed, tries = 0, 0, 0
    while (found := _BRACE.search(text, at)) and parsed <= MAX_PARSED_CHARS and tries < MAX_TRIES:
        at = found.start()
        if text[at] == "{" and _JSON_START.match(text, at):
            value, end = decoder.read(text, at)
            parsed += end - at
            if value is not None and end == len(text):
                break
            if value is not None:
                at = end
                continue
            tries += 1
        if text[at] == "{":
            unclosed.append(at)
        elif unclosed:
            unclosed.pop()
        at += 1
    else:
        raise ValueError("the JSON at the end of the judge's answer cannot be read")
    if any(_OBJECT_START.match(text, brace) for brace in unclosed):
        raise ValueError(
            "the object at the end of the judge's answer stands in one that is not complete"
        )
    if decoder.repeated:
        raise strict_json.RepeatedKey("a key is there twice in one object")
    return value, left_out + at


class _Decoder:
    """Reads objects out of a text.

    Attributes:
        repeated: whether the object read last names a key twice, at any depth.
    """

    def __init__(self) -> None:
        self.repeated = False
        self._decoder = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=self._object)

    def read(self, text: str, at: int) -> tuple[dict[str, Any] | None, int]:
        """The object at a place and where it ends; without one, None and how far it was read."""
        self.repeated = False
        try:
            return self._decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            return None, error.pos
        except (ValueError, RecursionError):
            return None, len(text)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        self.repeated = self.repeated or len(value) < len(pairs)
        return value


def _refuse(literal: str) -> Any:
    raise ValueError(f"{literal} is not JSON")


def _without_closing_fence(text: str) -> str:
    for sign in "`~":
        shorter = text.rstrip(sign)
        if len(text) - len(shorter) >= _MIN_FENCE:
            return shorter.rstrip()
    return text
