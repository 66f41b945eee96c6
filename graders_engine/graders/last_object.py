"""The JSON object that a text ends with, and the code fence around an answer."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from graders_engine.language import strict_json

MAX_BRACES = 20_000
"""Braces that are looked at, apart from those inside objects that can be read."""
MAX_TRIES = 2_000
"""Braces among them that look like the beginning of JSON and are not."""
TAIL_CHARS = 200_000
"""The end of a text that is searched."""
MAX_PARSED_CHARS = 10 * TAIL_CHARS
"""Characters parsed in all: nested objects are parsed repeatedly, and a row may plant them."""
_BRACE = re.compile(r"[{}]")
_JSON_START = re.compile(r'\{\s*["}]')
_OBJECT_START = re.compile(r"\{\s*(?:[\"'\u201c\u201d\u2018\u2019/#]|\w+\s*:)")
"""The beginning of an object, in JSON or in what people and models write for it."""
_VERDICT_KEYS = frozenset({"result", "steps", "score", "verdict", "rating", "grade", "label"})
_NAME = (
    r"\b(?:result|score|verdict|rating|grade|label)\b[^\w\s]{0,3}\s?(?:is|of|would be|[:=])?\s?"
    r"[^\w\s+-]{0,3}"
)
_NAMED_NUMBER = re.compile(rf"{_NAME}([+-]?\d+(?:\.\d+)?)", re.IGNORECASE)
"""A verdict in prose, such as `Score: 0.2`, `**Result:** 1` and `<result>0</result>`."""
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
    left_out = max(len(text) - TAIL_CHARS, 0)
    text = text[left_out:]
    decoder = _Decoder()
    value, start, unclosed = _search(text, decoder)
    if value is None:
        raise ValueError("the JSON at the end of the judge's answer cannot be read")
    if any(_OBJECT_START.match(text, brace) for brace in unclosed):
        reason = "the object at the end of the judge's answer stands in one that is not complete"
        raise ValueError(reason)
    if decoder.repeated:
        raise strict_json.RepeatedKey("a key is there twice in one object")
    return value, left_out + start


def another_verdict(text: str, result: Any, labels: Sequence[str] = ()) -> bool:
    """Whether a text before a verdict holds what may be another one: an object, or a value with a name.

    Args:
        text: what stands before the verdict.
        result: the verdict's; one that is equal is not another one.
        labels: those that a label_model has.
    """
    if not isinstance(result, (int, float, str)):
        return False  # it is none itself
    decoder = _Decoder()
    at = 0
    text = text[-TAIL_CHARS:]
    while found := _OBJECT_START.search(text, at):
        value, at = decoder.read(text, found.start())
        if value is None or decoder.repeated:
            return True
        if not _VERDICT_KEYS.isdisjoint(value) and value.get("result") != result:
            return True
    if isinstance(result, str):
        return any(_gives(text, label) for label in labels if label != result)
    return any(float(found[1]) != result for found in _NAMED_NUMBER.finditer(text))


def without_objects(text: str) -> str:
    """What a text says besides objects and the fences of code; objects behind a broken one are left in it."""
    decoder = _Decoder()
    parts, at = [], 0
    while found := _JSON_START.search(text, at):
        parts.append(text[at : found.start()])
        at = found.start()
        value, end = decoder.read(text, at)
        if value is None:
            break
        at = end
    return _FENCE.sub(" ", " ".join([*parts, text[at:]]))


def _gives(text: str, label: str) -> bool:
    """Whether a text gives a label with a name, such as `Label: bad`; a single letter may be a word."""
    anycase = "" if len(label) == 1 else "i"
    pattern = rf"(?i:{_NAME})(?{anycase}:{re.escape(label)})(?!\w)"
    return re.search(pattern, text) is not None


def _search(text: str, decoder: _Decoder) -> tuple[dict[str, Any] | None, int, list[int]]:
    """The object that ends a text, where it begins, and the braces before it that are not closed."""
    unclosed: list[int] = []
    at, parsed, tries = 0, 0, 0
    for _ in range(MAX_BRACES):
        found = _BRACE.search(text, at)
        if found is None or parsed > MAX_PARSED_CHARS or tries == MAX_TRIES:
            break
        at = found.start()
        if _JSON_START.match(text, at):
            value, end = decoder.read(text, at)
            parsed += end - at
            if value is not None and end == len(text):
                return value, at, unclosed
            if value is not None:
                at = end
                continue
            tries += 1
        if found[0] == "{":
            unclosed.append(at)
        elif unclosed:
            unclosed.pop()
        at += 1
    return None, 0, []


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
