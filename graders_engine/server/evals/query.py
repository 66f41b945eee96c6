"""The query of a request: which page of a list is wanted, and of which objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast
from urllib.parse import parse_qsl

from graders_engine.errors import Mistake
from graders_engine.graders import mistakes
from graders_engine.server.exchange import Exchange
from graders_engine.server.responses import Refused
from graders_engine.storage.pages import Page

API_VERSION = "api-version"
"""Azure's clients send it with every request; there is one version here."""
MAX_LIMIT = 100
"""Most objects of a page."""
_PAGE = ("after", "limit", "order")
_ORDERS = ("asc", "desc")

PAGE_PARAMETERS: dict[str, Any] = {
    "after": {"type": "string", "description": "The id of the last object of the page before."},
    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 20},
    "order": {
        "enum": [*_ORDERS],
        "default": "asc",
        "description": "From the oldest, or the newest.",
    },
}
"""The schemas of what every list takes, by name."""


def query_of(exchange: Exchange, known: Sequence[str] = ()) -> dict[str, str]:
    """The keys of a request's query.

    Args:
        exchange: the request.
        known: the keys that its route takes.

    Raises:
        Refused: there is another key, or one is there twice.
    """
    text = exchange.scope["query_string"].decode("latin-1")
    if not text:
        return {}
    found: dict[str, str] = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        if key == API_VERSION:
            continue
        if key not in known:
            raise Refused(400, mistakes.unknown(key, key, known))
        if key in found:
            raise Refused(400, mistakes.invalid(key, "it is given more than once."))
        found[key] = value
    return found


def page_of(exchange: Exchange, *others: str) -> tuple[Page, Mapping[str, str]]:
    """The page that a request asks for, and the other keys of its query.

    Raises:
        Refused: the query has a mistake.
    """
    query = query_of(exchange, (*_PAGE, *others))
    after = query.get("after")
    if after == "":
        raise Refused(400, mistakes.invalid("after", "it is empty: leave it out, or pass an id."))
    order = word(query, "order", _ORDERS, "asc")
    page = Page(after, _limit(query.get("limit")), cast(Literal["asc", "desc"], order))
    return page, {key: query[key] for key in others if key in query}


def word(query: Mapping[str, str], key: str, words: Sequence[str], default: str) -> str:
    """One of some words.

    Raises:
        Refused: it is another one.
    """
    value = query.get(key, default)
    if value != default and value not in words:
        mistake = mistakes.unsupported(key, value, words)
        raise Refused(400, Mistake(mistake.message, key, mistake.code))
    return value


def _limit(text: str | None) -> int:
    if text is None:
        return Page().limit
    if not (text.isascii() and text.removeprefix("-").isdigit()):
        raise Refused(400, mistakes.invalid_type("limit", "an integer", text))
    # A number of any length; the bounds are far below what is cut off here.
    limit = int(text[:10])
    if limit < 1:
        raise Refused(400, mistakes.out_of_range("limit", limit, 1, "minimum"))
    if limit > MAX_LIMIT:
        raise Refused(400, mistakes.out_of_range("limit", limit, MAX_LIMIT, "maximum"))
    return limit
