"""The parameters behind the `?` of an address."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, cast
from urllib.parse import parse_qsl

from graders_engine.errors import Mistake
from graders_engine.graders import mistakes
from graders_engine.server.exchange import Exchange
from graders_engine.server.responses import Refused
from graders_engine.storage.pages import Page

API_VERSION = "api-version"
"""Azure's clients send it with every request; there is one version here."""
MAX_PARAMETERS = 100


def read_query(exchange: Exchange, known: Collection[str] = ()) -> dict[str, str]:
    """The parameters of a request, by name.

    Args:
        exchange: the request.
        known: the names that its route takes.

    Raises:
        Refused: there is another one, or one is there twice.
    """
    text = exchange.scope["query_string"]
    if not text:
        return {}
    try:
        pairs = parse_qsl(
            text.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_PARAMETERS
        )
    except ValueError:
        message = f"Invalid address: it has more than {MAX_PARAMETERS} parameters."
        raise Refused(400, Mistake(message, code="invalid_value")) from None
    values: dict[str, str] = {}
    for name, value in pairs:
        if name == API_VERSION:
            continue
        if name not in known:
            raise Refused(400, mistakes.unknown(name, name, known))
        if name in values:
            message = f"Invalid '{name}': it is there twice."
            raise Refused(400, Mistake(message, name, "invalid_value"))
        values[name] = value
    return values


def page_of(
    query: Mapping[str, str],
    *,
    limit: int = 20,
    most: int = 100,
    order: Literal["asc", "desc"] = "asc",
) -> Page:
    """The page that a query asks for, by `after`, `limit` and `order`.

    Args:
        query: of the request.
        limit: where it names none.
        most: the highest that it may name.
        order: where it names none.

    Raises:
        Refused: one of them has no possible value.
    """
    wanted = choice_of(query, "order", ("asc", "desc")) or order
    return Page(
        query.get("after") or None,
        number_of(query, "limit", 1, most, limit),
        cast(Literal["asc", "desc"], wanted),
    )


def choice_of(query: Mapping[str, str], name: str, choices: Sequence[str]) -> str | None:
    """A parameter that is one of these; None without it.

    Raises:
        Refused: it is something else.
    """
    value = query.get(name)
    if value is not None and value not in choices:
        raise Refused(400, mistakes.unsupported(name, value, choices))
    return value


def number_of(
    values: Mapping[str, str], name: str, least: int, most: int, default: int | None = None
) -> Any:
    """A parameter that is a whole number of this range; the default without it.

    Raises:
        Refused: it is something else.
    """
    text = values.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.removeprefix("-").isdigit()):
        message = f"Invalid type for '{name}': expected an integer, but got '{text[:_MAX_DIGITS]}'."
        raise Refused(400, Mistake(message, name, "invalid_type"))
    number = int(text[:_MAX_DIGITS])  # of a longer one, these are beyond all bounds already
    if number < least:
        raise Refused(400, mistakes.out_of_range(name, number, least, "minimum"))
    if number > most:
        raise Refused(400, mistakes.out_of_range(name, number, most, "maximum"))
    return number


_MAX_DIGITS = 20
