"""JSON text to values and back, as in RFC 8259: no NaN, no Infinity, and no RecursionError."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

import msgspec

_QUOTED_CHARS = 20
_decode_strict = msgspec.json.Decoder().decode


def _reject_constant(literal: str) -> NoReturn:
    raise ValueError(f"{literal} is not JSON")


def _integer(literal: str) -> int:
    try:
        return int(literal)
    except ValueError:  # the interpreter's limit on the digits of a number
        start = literal[:_QUOTED_CHARS]
        raise ValueError(
            f"the number {start}… has {len(literal):,} digits, more than can be read"
        ) from None


def _decimal(literal: str) -> float:
    value = float(literal)
    if math.isinf(value):
        start = literal if len(literal) <= _QUOTED_CHARS else literal[:_QUOTED_CHARS] + "…"
        raise ValueError(f"the number {start} is beyond the range of a double")
    return value


class RepeatedKey(ValueError):
    """Raised for JSON that names a key twice in one object: readers disagree about the value that counts."""


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object from its keys and values; the hook of the standard library's decoders.

    Raises:
        RepeatedKey: a key is there twice.
    """
    value = dict(pairs)
    if len(value) < len(pairs):
        raise RepeatedKey("a key is there twice in one object")
    return value


_unique_decoder = json.JSONDecoder(parse_constant=_reject_constant, object_pairs_hook=unique)


def decode_unique(text: str | bytes) -> Any:
    """As `decode`, but no object may name a key twice; a number beyond the range of a double is infinite.

    Raises:
        RepeatedKey: one does.
        ValueError: as in `decode`.
    """
    try:
        return _unique_decoder.decode(_text_of(text))
    except RecursionError:
        raise ValueError("the JSON text nests too deep") from None


def _text_of(text: str | bytes) -> str:
    if isinstance(text, str):
        return text
    return text.decode(json.detect_encoding(text), "surrogatepass")


def repeated_key(text: str | bytes) -> str:
    """The path of a key that a JSON text names twice in one object, such as `item.tags[0].a`.

    It is empty where no key is there twice, and for what is no JSON. It takes some times as long as `decode`.
    """
    try:
        decode_unique(text)
    except RepeatedKey:
        return _path_of_repeated(_text_of(text))
    except ValueError:
        pass
    return ""


def _path_of_repeated(text: str) -> str:
    repeated: dict[int, str] = {}
    seen: list[dict[str, Any]] = []  # holds the objects, so that no two of them have one `id`

    def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key, one in pairs:
            if key in value:
                repeated.setdefault(id(value), key)
            value[key] = one
        seen.append(value)
        return value

    left = [("", json.JSONDecoder(object_pairs_hook=object_of).decode(text))]
    while left:
        path, value = left.pop()
        if isinstance(value, dict):
            if id(value) in repeated:
                return f"{path}.{repeated[id(value)]}".removeprefix(".")
            left += [(f"{path}.{key}", part) for key, part in reversed(value.items())]
        elif isinstance(value, list):
            left += [(f"{path}[{at}]", part) for at, part in reversed([*enumerate(value)])]
    return ""


def decode(text: str | bytes) -> Any:
    """Parse one JSON document.

    msgspec reads the common case. What it rejects but the standard library accepts (a lone surrogate in an
    escape) is read by the latter, so the values always equal those of `json.loads`.

    Raises:
        ValueError: the text is not JSON, has a number beyond the range of a double (which the standard
            library makes infinite), or is nested deeper than the interpreter can follow.
    """
    try:
        return _decode_strict(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        try:
            return json.loads(
                text, parse_constant=_reject_constant, parse_float=_decimal, parse_int=_integer
            )
        except RecursionError:
            raise ValueError("the JSON text nests too deep") from None


_CONTROL = "Invalid control character at"
_OPEN = "a string is not closed"
_TRAILING_COMMA = "Illegal trailing comma"
_REASONS = {
    "Expecting ',' delimiter": "a comma or a closing bracket is missing",
    "Expecting ':' delimiter": "a colon is missing after a key",
    "Expecting property name enclosed in double quotes": "a key in double quotes is expected",
    "Expecting value": "a value is expected",
    "Unterminated string starting at": f"{_OPEN}, which begins",
    "Extra data": "there is more text after the end of the JSON value",
    _CONTROL: "a line break or another control character must be escaped in a string",
    "Invalid \\escape": "a string has a backslash that begins no escape",
    "Invalid \\uXXXX escape": "four hexadecimal digits must follow \\u",
    f"{_TRAILING_COMMA} before end of object": "a key in double quotes is expected",
    f"{_TRAILING_COMMA} before end of array": "a value is expected",
}
"""For each message of the standard library's parser, our own."""
_PYTHON = ("None", "True", "False")


def explained(error: ValueError) -> str:
    """Why a text is not JSON, with the place in it: `a value is expected at character 12, before 'x'`."""
    if not isinstance(error, json.JSONDecodeError):
        return str(error)
    text, at = error.doc.rstrip(), error.pos
    if error.msg.startswith(_TRAILING_COMMA):
        # Python 3.13 and newer say where the comma is, older ones where something should follow.
        at = len(text) - len(text[at + 1 :].lstrip())
    reason = _REASONS.get(error.msg, error.msg)
    if not text:
        return "it is empty"
    if at >= len(text):
        # The line break after an open string is no character that somebody forgot to escape.
        return f"it ends too early: {_OPEN if error.msg == _CONTROL else reason}"
    if text.startswith(_PYTHON, at):
        reason += " (JSON writes null, true and false)"
    elif text.startswith("'", at):
        reason += " (JSON has double quotes only)"
    rest = text[at : at + _QUOTED_CHARS].partition("\n")[0]
    more = "…" if len(text) > at + len(rest) else ""
    before = f", before {rest + more!r}" if rest else ""
    return f"{reason} at character {at + 1}{before}"


def encode(value: Any) -> bytes:
    """The JSON text of a value, including every value that `decode` returns; NaN and Infinity become null.

    Raises:
        ValueError: the value is nested too deep, or is not a JSON value.
    """
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, UnicodeError, RecursionError):
        try:
            return json.dumps(_with_nulls(value), allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"the row cannot be written as JSON: {error}") from None


def encode_exactly(value: Any) -> bytes:
    """As `encode`, but NaN and Infinity, which rows made in Python may hold, are refused.

    Raises:
        ValueError: the value holds one, or as in `encode`.
    """
    text = encode(value)
    # Only such a number, None or the word itself makes a null.
    if b"null" in text:
        require_finite(value)
    return text


def require_finite(value: Any) -> None:
    """Make sure that all numbers in a JSON value are finite.

    Raises:
        ValueError: one is NaN or Infinity.
    """
    if not is_finite(value):
        raise ValueError("the row cannot be written as JSON: it holds NaN or Infinity")


def _with_nulls(value: Any) -> Any:
    """A JSON value with null in place of NaN and Infinity."""
    if isinstance(value, dict):
        return {key: _with_nulls(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_nulls(each) for each in value]
    return value if is_finite(value) else None


def is_finite(value: Any) -> bool:
    """Whether all numbers in a JSON value are finite."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return True
    for part in value:  # noqa: SIM110 - a generator would cost a call for each part, too
        # Most parts are these: a call for each of them would take most of the time.
        if part is not None and type(part) is not str and not is_finite(part):
            return False
    return True
