"""What is wrong with a text that was meant to be JSON: in plain words, with the place."""

from __future__ import annotations

import json
import re

from graders_engine.language.span import Span, SyntaxIssue

_WORD = re.compile(r"[\w.+-]+")
_OTHER_WORDS = {
    "True": "true",
    "False": "false",
    "None": "null",
    "undefined": "null",
    "nan": "null",
}
"""What other languages write, with JSON's word for it."""
TYPOGRAPHIC = "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2018\u2019\u201a\u201b"
"""Quotes that word processors and chats make of straight ones."""
_TRAILING = "nothing stands after this comma"
_MAX_QUOTED = 40


def json_fault(text: str) -> SyntaxIssue | None:
    """The first fault of a text as JSON; None if it has none, or nests too deep to be read.

    Its kind is "yaml" where YAML allows what stands there and means the same by it.
    """
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return _fault(text, error.msg, error.pos)
    except (ValueError, RecursionError):  # an integer of too many digits is JSON nonetheless
        return None
    return None


def _fault(text: str, message: str, at: int) -> SyntaxIssue:
    if message.startswith("Illegal trailing comma"):  # from Python 3.13 on
        return _issue(text, _TRAILING, at, at + 1, "yaml")
    if message.startswith("Unterminated string"):
        return _issue(text, "this quote is never closed", at, at + 1)
    if message.startswith("Invalid control character"):
        return _control_character(text, at)
    if message.startswith("Invalid \\"):
        reason = "a backslash starts no such sequence in JSON: write two of them for one"
        return _issue(text, reason, at, at + 2)
    if message.startswith("Extra data"):
        return _foreign(text, at) or _issue(text, "the value ends before this", at, at + 1)
    return _foreign(text, at) or _expected(text, message, at)


def _control_character(text: str, at: int) -> SyntaxIssue:
    name, escape = {"\n": ("a line break", "\\n"), "\t": ("a tab", "\\t")}.get(
        text[at], ("a control character", f"\\u{ord(text[at]):04x}")
    )
    return _issue(text, f"{name} inside a text is written `{escape}` in JSON", at, at + 1)


def _foreign(text: str, at: int) -> SyntaxIssue | None:
    """What stands here if it is not of JSON, but of its relatives."""
    char = text[at : at + 1]
    if char == "'":
        return _issue(text, """JSON quotes with `"`, not with `'`""", at, at + 1, "yaml")
    if char and char in TYPOGRAPHIC:
        return _issue(text, f'`{char}` is a typographic quote; JSON has `"` only', at, at + 1)
    if char and not char.isascii() and (char.isspace() or not char.isprintable()):
        reason = f"an invisible character (U+{ord(char):04X}) stands here: delete it"
        return _issue(text, reason, at, at + 1)
    if char == "#" or text.startswith(("//", "/*"), at):
        kind = "yaml" if char == "#" else "syntax"
        return _issue(text, "JSON has no comments", at, at + 1 + (char == "/"), kind)
    word = _WORD.match(text, at)
    if word and word[0] in _OTHER_WORDS:
        json_word = _OTHER_WORDS[word[0]]
        kind = "syntax" if json_word == "null" else "yaml"
        return _issue(text, f"`{word[0]}` is `{json_word}` in JSON", at, word.end(), kind)
    return None


def _expected(text: str, message: str, at: int) -> SyntaxIssue:
    before = len(text[:at].rstrip())
    if at >= len(text.rstrip()):
        reason = "the text ends too early: a closing bracket is missing"
        return _issue(text, reason, before - 1, before)
    char, last = text[at], text[before - 1 : before]
    if last == "," and char in "}],":
        if char == ",":
            return _issue(text, "two commas stand in a row", at, at + 1)
        return _issue(text, _TRAILING, before - 1, before, "yaml")
    if message.startswith("Expecting ','"):
        return _no_comma(text, at, before)
    if message.startswith("Expecting ':'"):
        reason = f"a colon is missing after the key `{_value_before(text, before)}`"
        return _issue(text, reason, before - 1, before)
    word = _WORD.match(text, at)
    kind = "yaml" if word else "syntax"  # YAML takes words without quotes
    what = "a key in double quotes" if message.startswith("Expecting property") else "a value"
    found = word[0] if word else char
    return _issue(text, f"{what} was expected, but `{found}` was found", at, at + len(found), kind)


def _no_comma(text: str, at: int, before: int) -> SyntaxIssue:
    """An element is followed by something else than a comma or its closing bracket."""
    char, last = text[at], text[before - 1]
    if char in "}]":
        other = "]" if char == "}" else "}"
        return _issue(text, f"`{char}` stands where `{other}` was expected", at, at + 1)
    if before == at and last == '"' and char not in '"{[,;:':
        reason = 'a quote inside a text is written `\\"`'
        return _issue(text, reason, before - 1, before)
    if before == at and char not in '"{[;:=':
        # An unquoted text, such as 2024-01-01.
        return _issue(text, "a text must stand in double quotes", at, at + 1, "yaml")
    if char in '"{[-' or char.isalnum():
        reason = f"a comma is missing after `{_value_before(text, before)}`"
        return _issue(text, reason, before - 1, before)
    return _issue(text, f"a comma was expected, but `{char}` was found", at, at + 1)


def _value_before(text: str, end: int) -> str:
    """The value that ends here, or its end if it is long."""
    start = end - 1
    if text[start] == '"':
        start = text.rfind('"', 0, start)
        while start > 0 and text[start - 1] == "\\":
            start = text.rfind('"', 0, start)
    else:
        while start > 0 and _WORD.match(text[start]) and _WORD.match(text[start - 1]):
            start -= 1
    value = text[max(start, 0) : end]
    return value if len(value) <= _MAX_QUOTED else f"…{value[-_MAX_QUOTED:]}"


def _issue(text: str, reason: str, start: int, end: int, kind: str = "syntax") -> SyntaxIssue:
    return SyntaxIssue(reason, Span(text, max(start, 0), end), kind)
