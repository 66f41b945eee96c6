"""What an error says for itself: its text without addresses, names and what it repeats of the request."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from graders_engine.models.base import ModelRequest, TextPart

_NAMES = (
    "response_format", "json_schema", "json_object", "text.format", "structured", "max_completion_tokens",
    "developer", "max_tokens", "temperature", "top_p", "seed", "effort", "thinking", "reasoning", "store",
    "stream", "system", "role", "grammar", "schema", "alternate",
)  # fmt: skip
_ADDRESS = re.compile(r"https?://[^\s\"'<>\\]+")
_ECHO = re.compile(
    r"(?P<name>\b(?:messages|response_format|request(?: body)?|body|payload|params|kwargs|data|input)"
    r"['\"]?\s*[=:]\s*)?[\[{]"
)
"""A list or an object, and the name before it by which a part of a request is repeated."""
_IN_REQUEST = re.compile(r"['\"](?:model|messages|role|content|json_schema)\\*['\"]\s*:")
_UNICODE = re.compile(r"\\+u([0-9a-fA-F]{4})")
_SPACE = re.compile(r"\\+[nrt]")
_PUNCTUATION = "'\"`()[]{}<>,;:.!?"
Quotable = tuple[str, list[str]]
"""A text of a request, and the names among `_NAMES` that are in it."""
_CONTEXT_CHARS = 12
"""So much text around a word, found in the request as well, shows that the error quotes the request."""


def evidence(details: str, url: str, model: str, quotes: list[Quotable]) -> str:
    """What an error says, on one line in small letters.

    Args:
        details: its text.
        url: what was asked; addresses are left out.
        model: what was asked for; it is left out.
        quotes: what `quotable` gave of the request: what the error quotes of it is left out.
    """
    address = url.lower().partition("?")[0]
    place = address.partition("://")[2]
    path = place.partition("/")[2]
    text = _readable(_without_echoes(details))
    for own in filter(None, (address, place, path)):
        text = text.replace(own, " ")
    text = _ADDRESS.sub(" ", text)
    words = re.sub(rf"(?<!\w){re.escape(model.lower())}(?!\w)", " ", text).split()
    segments = set(place.split("/"))
    text = " ".join(word for word in words if word.strip(_PUNCTUATION) not in segments)
    for quote in quotes:
        text = _without_quotes(text, *quote)
    return text


def _without_echoes(details: str) -> str:
    """The text without lists and objects that are parts of a request, as gateways repeat them."""
    start = 0
    while match := _ECHO.search(details, start):
        end = _closed(details, match.end() - 1)
        group = details[match.end() - 1 : end]
        start = match.end()
        name = match["name"] or ""
        if name or _IN_REQUEST.search(group):
            start = match.start() if "=" in name else match.end() - 1
            details = f"{details[:start]} {details[end:]}"
    return details


def _closed(text: str, start: int) -> int:
    """Where the bracket at `start` is closed; the end of the text if it is not."""
    depth = 0
    for match in re.compile(r"[\[{}\]]").finditer(text, start):
        depth += 1 if match[0] in "[{" else -1
        if depth == 0:
            return match.end()
    return len(text)


def _readable(text: str) -> str:
    """The text on one line, without what JSON, HTML and Python escape."""
    text = _UNICODE.sub(lambda match: chr(int(match[1], 16)), html.unescape(text))
    return " ".join(_SPACE.sub(" ", text).replace("\\", "").lower().split())


def quotable(request: ModelRequest) -> Iterator[Quotable]:
    """The texts of a request that an error may quote."""
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, TextPart):
                text = _readable(part.text)
                yield text, [name for name in _NAMES if name in text]


def _without_quotes(text: str, quoted: str, names: list[str]) -> str:
    """The text without a whole quote, and without names in the same words as in what may be quoted."""
    if quoted and len(quoted) <= len(text):
        text = re.sub(rf"(?<!\w){re.escape(quoted)}(?!\w)", " ", text)
    matches = [match for name in names for match in re.finditer(re.escape(name), text)]
    for match in sorted(matches, key=lambda match: match.start(), reverse=True):
        before = match.string[max(match.start() - _CONTEXT_CHARS, 0) : match.end()]
        after = match.string[match.start() : match.end() + _CONTEXT_CHARS]
        # Less of it, at the beginning or the end, is what messages and rows have in common.
        min_chars = min(len(match[0]) + _CONTEXT_CHARS, len(match.string))
        if any(len(part) >= min_chars and part in quoted for part in (before, after)):
            text = f"{text[: match.start()]} {text[match.end() :]}"
    return text
