"""The filter of a list of jobs: `metadata[key]=value`, or `metadata=null` for jobs without metadata."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qsl

from graders_engine.errors import Mistake
from graders_engine.graders import mistakes
from graders_engine.server.exchange import Exchange
from graders_engine.server.responses import Refused
from graders_engine.server.store.query import read_query

METADATA = "metadata"
_PAIR = re.compile(rf"{METADATA}\[(.*)\]", re.DOTALL)
_MAX_PARAMETERS = 100


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are listed.

    Attributes:
        metadata: the keys and values that they have.
        without: whether they have no metadata at all.
    """

    metadata: dict[str, str]
    without: bool


def job_filter(exchange: Exchange, known: Collection[str]) -> tuple[dict[str, str], JobFilter]:
    """The parameters of a list of jobs, and its filter.

    Args:
        exchange: the request.
        known: the names of the other parameters.

    Raises:
        Refused: a parameter is unknown or wrong, or both forms of the filter are there.
    """
    named = _names(exchange)
    query = read_query(exchange, (*known, METADATA, *named))
    metadata = {name: query.pop(parameter) for parameter, name in named.items()}
    null = query.pop(METADATA, None)
    if null is not None and null != "null":
        reason = "write metadata[key]=value, or metadata=null for jobs without metadata."
        raise Refused(400, mistakes.invalid(METADATA, reason))
    if null is not None and metadata:
        message = "Invalid 'metadata': metadata=null and metadata[key]=value cannot be asked for together."
        raise Refused(400, Mistake(message, METADATA, "invalid_value"))
    return query, JobFilter(metadata, null is not None)


def _names(exchange: Exchange) -> dict[str, str]:
    """The keys of the metadata that are asked for, by the names of their parameters."""
    text = exchange.scope["query_string"].decode("latin-1")
    if METADATA not in text:
        return {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS)
    except ValueError:  # too many: `read_query` refuses them
        return {}
    found = {name: _PAIR.fullmatch(name) for name, _ in pairs}
    return {name: match[1] for name, match in found.items() if match is not None}
