"""The pages beside the grader service: health, metrics, the OpenAPI document and its page."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client.exposition import CONTENT_TYPE_LATEST

from graders_engine.metrics import core
from graders_engine.server.exchange import HTML, Exchange
from graders_engine.server.openapi import docs_page, document
from graders_engine.server.routes import UNKNOWN, Route
from graders_engine.server.telemetry import ServerMetrics

_DOCS_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
)


def page_routes(
    described: Sequence[Route],
    schemas: Mapping[str, Any],
    metrics: ServerMetrics,
    home: str = "docs",
) -> list[Route]:
    """The routes of the pages. All but the metrics are open: they show nothing of the users'.

    Args:
        described: the routes that the OpenAPI document describes; without any there is no document, and
            nothing to count.
        schemas: the schemas that these name, beyond the graders' own.
        metrics: what `/metrics` shows.
        home: where `/` leads people.
    """

    @functools.cache
    def openapi() -> bytes:
        return document(described, schemas)

    healthy = f"ok\nmetrics: {core.ACTIVE}\n".encode()

    async def health(exchange: Exchange) -> None:
        await exchange.respond(200, healthy, media_type=b"text/plain; charset=utf-8")

    async def show_metrics(exchange: Exchange) -> None:
        for refresh in metrics.refreshed:
            await refresh()
        await exchange.respond(200, metrics.text(), media_type=CONTENT_TYPE_LATEST.encode())

    async def show_document(exchange: Exchange) -> None:
        await exchange.respond(200, openapi())

    async def docs(exchange: Exchange) -> None:
        await exchange.respond(
            200,
            docs_page(),
            {"content-security-policy": _DOCS_POLICY},
            media_type=HTML,
        )

    async def root(exchange: Exchange) -> None:
        """Send people to the page; programs asked for what is not there."""
        if b"text/html" not in exchange.headers.get(b"accept", b""):
            await UNKNOWN.handler(exchange)
        await exchange.respond(307, b"", {"location": home, "vary": "accept"}, media_type=b"")

    always = [
        Route("GET", "/", root, needs_key=False, versioned=False),
        Route("GET", "/healthz", health, needs_key=False, versioned=False),
    ]
    if not described:
        return always
    return [
        *always,
        Route("GET", "/metrics", show_metrics, versioned=False),
        Route("GET", "/docs", docs, needs_key=False, versioned=False),
        Route("GET", "/openapi.json", show_document, needs_key=False, versioned=False),
    ]
