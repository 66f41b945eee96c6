"""What is wrong with a text that was meant to be JSON: in plain words, with the place."""

from __future__ import annotations

import json
import math
import re

from graders_engine.language.span import Span, SyntaxIssue

_STRING = r'"(?>(?:[^"\\]|\\.)*)"'
_TOKEN = re.compile(_STRING + r'|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
_HALF = re.compile(
    r"(?<!\\)(?>(?:\\\\)*)(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?<!\\)(?>(?:\\\\)*)(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
"""An escaped pair of surrogates, or one that is alone."""
_NUMBER_LIKE = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F_]+|[0-9_.]+(?:[eE][+-]?[0-9]*)?)")
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
_TRAILING = "nothing stands after this comma: remove it"
_MAX_QUOTED = 40

_COMMENTS = r"\s*(?>(?:(?://|\#)[^\n]*\s*|/\*.*?\*/\s*)*)"
_OPENING = re.compile(rf"{_COMMENTS}(?>(?:[{{\[]{_COMMENTS})*)", re.DOTALL)

_BARE = re.compile(rf"[^\s\"'`:,{{}}\[\]\\{TYPOGRAPHIC}]")
"""Begins a key or a text without quotes, as YAML has it."""
_BARE_KEY = re.compile(r"[{,]\s*[\w.$-]+\s*:\s")
_END_OF_QUOTED_KEY = re.compile(r"\"\s*:")
_NO_WORDS = re.compile(
    rf"(?>(?:\s|[\[\]{{}},:]|{_STRING}|'[^'\n]*'|[-+.\w]*\d[-+.\w]*|true|false|null|True|False|None|NaN)*)"
)
_QUOTED_KEY = re.compile(rf"\s*{_STRING}\s*:")


def meant_as_json(text: str) -> bool:
    """Whether a text was meant as JSON, be it valid or not, rather than as YAML."""
    opening = _OPENING.match(text)
    start = opening.end() if opening else 0
    head = text[:start]
    if not re.search(r"[{\[]", head):
        # A comment of JavaScript, or a first brace that was lost.
        lost = _QUOTED_KEY.match(text) and text.rstrip().endswith("}")
        return bool(lost or re.match(r"\s*(?://|/\*)", text))
    if re.search(r"^\s*//|/\*|[{\[]\s*//", head, re.MULTILINE):
        return True
    if not _BARE.match(text, start):
        return True
    if _NO_WORDS.fullmatch(text, head.index("[") if "[" in head else start):
        return True
    quoted = sum(1 for _ in _END_OF_QUOTED_KEY.finditer(text))
    return quoted > sum(1 for _ in _BARE_KEY.finditer(text))


def json_fault(text: str) -> SyntaxIssue | None:
    """The first fault of a text as JSON; None if it has none, or nests too deep to be read.

    What parses is a fault too where readers disagree about it: a number that is not finite, a key that is
    there twice, half of a pair of surrogates.
    """
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return _fault(text, error.msg, error.pos)
    except (ValueError, RecursionError):  # an integer of too many digits is JSON nonetheless
        return None
    return _ambiguity(text)


def half_pair(text: str) -> re.Match[str] | None:
    """The first escape in a JSON text that is half of a pair of surrogates without the other half."""
    return next((found for found in _HALF.finditer(text) if found["half"]), None)


def _ambiguity(text: str) -> SyntaxIssue | None:
    """The first part of valid JSON that readers disagree about."""
    keys: list[set[str] | None] = []
    for token in _TOKEN.finditer(text):
        part, start, end = token[0], token.start(), token.end()
        if part in "{[":
            keys.append(set() if part == "{" else None)
        elif part in "}]":
            keys.pop()
        elif part[0] == '"':
            if half := half_pair(part):
                reason = f"`{half['half']}` is half of a pair: an emoji has two such escapes"
                return _issue(text, reason, start + half.start("half"), start + half.end("half"))
            own = keys[-1] if keys else None
            if own is not None and text[end:].lstrip()[:1] == ":":
                key = json.loads(part)
                if key in own:
                    return _issue(text, f"the key '{key}' is used twice in one object", start, end)
                own.add(key)
        elif part in _NOT_FINITE:
            return _issue(text, f"{part} is not a JSON number", start, end)
        elif part[0] in "-0123456789" and math.isinf(float(part)):
            return _issue(text, f"{part} is beyond the range of a double", start, end)
    return None


def _fault(text: str, message: str, at: int) -> SyntaxIssue:
    if message.startswith("Illegal trailing comma"):  # from Python 3.13 on
        return _issue(text, _TRAILING, at, at + 1)
    if message.startswith("Unterminated string"):
        return _issue(text, "this quote is never closed", at, at + 1)
    if message.startswith("Invalid control character"):
        return _control_character(text, at)
    if message.startswith("Invalid \\u"):
        at = text.rfind("\\u", 0, at + 2)
        return _issue(text, "four hexadecimal digits must follow `\\u`", at, at + 2)
    if message.startswith("Invalid \\"):
        reason = "a backslash starts no such sequence in JSON: write two of them for one"
        return _issue(text, reason, at, at + 2)
    if message.startswith("Extra data"):
        if text[at] == ":":
            return _issue(text, "an opening brace `{` is missing before this", 0, 1)
        return _foreign(text, at) or _issue(text, "the value ends before this", at, at + 1)
    return _foreign(text, at) or _expected(text, message, at)


def _control_character(text: str, at: int) -> SyntaxIssue:
    name, escape = {"\n": ("a line break", "\\n"), "\t": ("a tab", "\\t")}.get(
        text[at], ("a control character", f"\\u{ord(text[at]):04x}")
    )
    reason = f"{name} inside a text is written `{escape}` in JSON"
    reason += " (or the closing quote is missing)" if text[at] == "\n" else ""
    return _issue(text, reason, at, at + 1)


def _foreign(text: str, at: int) -> SyntaxIssue | None:
    """What stands here if it is not of JSON, but of its relatives."""
    char = text[at : at + 1]
    if char == "'":
        return _issue(text, """JSON quotes with `"`, not with `'`: write `"` here""", at, at + 1)
    if char and char in TYPOGRAPHIC:
        return _issue(text, f'`{char}` is a typographic quote; JSON has `"` only', at, at + 1)
    if char and not char.isascii() and (char.isspace() or not char.isprintable()):
        reason = f"an invisible character (U+{ord(char):04X}) stands here: delete it"
        return _issue(text, reason, at, at + 1)
    if char == "#" or text.startswith(("//", "/*"), at):
        return _issue(
            text,
            "JSON has no comments: remove it, or write YAML (a .yaml file)",
            at,
            at + 1 + (char == "/"),
        )
    word = _WORD.match(text, at)
    if word and word[0] in _OTHER_WORDS:
        return _issue(text, f"`{word[0]}` is `{_OTHER_WORDS[word[0]]}` in JSON", at, word.end())
    return None


def _expected(text: str, message: str, at: int) -> SyntaxIssue:
    before = len(text[:at].rstrip())
    if at >= len(text.rstrip()):
        reason = "the text ends too early: a closing bracket is missing"
        if bracket := _open_bracket(text, at):
            reason += f" for the `{bracket.source[bracket.start]}` of line {bracket.line}"
        return _issue(text, reason, before - 1, before)
    char, last = text[at], text[before - 1 : before]
    if last == "," and char in "}],":
        if char == ",":
            return _issue(text, "two commas stand in a row", at, at + 1)
        return _issue(text, _TRAILING, before - 1, before)
    if message.startswith("Expecting ','"):
        return _no_comma(text, at, before)
    if message.startswith("Expecting ':'"):
        reason = f"a colon is missing after the key `{_value_before(text, before)}`"
        return _issue(text, reason, before - 1, before)
    word = _WORD.match(text, at)
    if word and _NUMBER_LIKE.fullmatch(word[0]) and not message.startswith("Expecting property"):
        return _issue(text, f"`{word[0]}` is no number of JSON", at, word.end())
    what = "a key in double quotes" if message.startswith("Expecting property") else "a value"
    found = word[0] if word else char
    return _issue(text, f"{what} was expected, but `{found}` was found", at, at + len(found))


def _no_comma(text: str, at: int, before: int) -> SyntaxIssue:
    """An element is followed by something else than a comma or its closing bracket."""
    char, last = text[at], text[before - 1]
    bracket = _open_bracket(text, at) if char == ":" else None
    if bracket and text[bracket.start] == "[":
        reason = f"`:` stands in a list: for an object, the `[` of line {bracket.line} must be `{{`"
        return _issue(text, reason, at, at + 1)
    if char in "}]":
        other = "]" if char == "}" else "}"
        return _issue(text, f"`{char}` stands where `{other}` was expected", at, at + 1)
    if before == at and last == '"' and char not in '"{[,;:':
        reason = 'a quote inside a text is written `\\"`'
        return _issue(text, reason, before - 1, before)
    if before == at and char not in '"{[;:=':
        word = _value_before(text, at) + (_WORD.match(text, at) or [""])[0]
        if _NUMBER_LIKE.fullmatch(word):
            return _issue(text, f"`{word}` is no number of JSON", at, at + 1)
        # An unquoted text, such as 2024-01-01.
        return _issue(text, "a text must stand in double quotes", at, at + 1)
    if char in '"{[-' or char.isalnum():
        reason = f"a comma is missing after `{_value_before(text, before)}`"
        return _issue(text, reason, before - 1, before)
    return _issue(text, f"a comma was expected, but `{char}` was found", at, at + 1)


def _open_bracket(text: str, at: int) -> Span | None:
    """The innermost bracket that is open here."""
    opened: list[int] = []
    for token in _TOKEN.finditer(text, 0, at):
        if token[0] in "{[":
            opened.append(token.start())
        elif token[0] in "}]" and opened:
            opened.pop()
    return Span(text, opened[-1], opened[-1] + 1) if opened else None


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


def _issue(text: str, reason: str, start: int, end: int) -> SyntaxIssue:
    return SyntaxIssue(reason, Span(text, max(start, 0), end))
