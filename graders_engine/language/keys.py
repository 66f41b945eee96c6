"""Keys after a dot in a template: which may stand there, and which look like code."""

from __future__ import annotations

import json
import re

from graders_engine.language.words import JOINERS

DOTTED = re.compile(r"""[^.\[\]|"'{}]*""")
"""What may stand after a dot, blanks around it included."""
_METHODS = (
    "capitalize|casefold|endswith|find|format|get|items|join|keys|length|lower|lstrip|replace|round|rstrip|slice"
    "|split|startswith|strip|substring|title|toLowerCase|toString|toUpperCase|trim|upper|values"
)
_OPERATOR = r"(?:[-+*/%<>=~?:,&]\s*|\b(?:and|or|if|else|not|in)\s+)"
_MAX_LENGTH = 200
"""Longer keys are not looked at."""
_EXPRESSIONS = (
    (re.compile(rf"[^\W\d]\w*\(\)|(?:{_METHODS})\(.*", re.DOTALL), "there are no calls"),
    (re.compile(r"-[0-9]+"), "an index from the end is written like [-1]"),
    (re.compile(rf".*{_OPERATOR}(?:item|sample)", re.DOTALL), "there are no expressions"),
    (re.compile(r".*\s(?:[-+*/%<>~]|[=!<>]=)\s*-?\d+", re.DOTALL), "there are no expressions"),
    (re.compile(r".*(?:\s[-~]|![rsa]|\?\?.*|&&.*)", re.DOTALL), "there are no expressions"),
)


def expression(key: str) -> str:
    """Why a key after a dot is probably meant as code of another language; empty if it is a plain key."""
    if key.isidentifier() or len(key) > _MAX_LENGTH:
        return ""
    return next((why for pattern, why in _EXPRESSIONS if pattern.fullmatch(key)), "")


def spell_key(key: str) -> str:
    """A key as a step of a path: `.key` where that is read back as this key, else `["key"]`."""
    plain = key.translate(_NO_JOINERS)
    if key and plain.isprintable() and key == key.strip() and DOTTED.fullmatch(key):
        return f".{key}" if not expression(key) else quoted(key)
    return quoted(key)


def quoted(key: str) -> str:
    """A key in brackets and quotes, with escapes for what cannot be seen."""
    text = json.dumps(key, ensure_ascii=False)
    return f"[{''.join(map(_visible, text))}]"


_NO_JOINERS = dict.fromkeys(map(ord, JOINERS))


def _visible(char: str) -> str:
    return char if char.isprintable() or char in JOINERS else json.dumps(char)[1:-1]
