"""The page itself: its document and its modules, as they are in this package."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from graders_engine.errors import Mistake
from graders_engine.report import html
from graders_engine.server.exchange import HTML, Exchange
from graders_engine.server.responses import Refused
from graders_engine.server.routes import Route
from graders_engine.view.access import NO_STORE
from graders_engine.view.context import API

SHELL = "shell.html"
_TYPES = {
    ".html": HTML,
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
_PAGES = (
    "",
    "/",
    "/compare",
    "/playground",
    "/jobs/{job}",
    "/preflight",
    "/preflight/row",
    "/runs/{run}",
    "/runs/{run}/rows",
    "/runs/{run}/rows/{row}",
    "/runs/{run}/prompts",
    "/runs/{run}/playground",
)
"""Paths below /view that are pages; the module of the document shows what each is about."""


class _File(NamedTuple):
    content: bytes
    compressed: bytes
    media_type: bytes
    etag: str


@cache
def _files() -> dict[str, _File]:
    """By name, the files that are served: those of this room, and those that the report's file has, too."""
    found = {}
    folders = (files(room).joinpath("static") for room in (html.__name__, __package__))
    for entry in (entry for folder in folders for entry in folder.iterdir()):
        suffix = "." + entry.name.rpartition(".")[2]
        if suffix in _TYPES:
            content = entry.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found[entry.name] = _File(
                content, gzip.compress(content, mtime=0), _TYPES[suffix], etag
            )
    return found


async def _answer(exchange: Exchange, name: str) -> None:
    """Send a file, or that the browser's copy is the same.

    Raises:
        Refused: there is no such file.
    """
    file = _files().get(name)
    if file is None:
        raise Refused(404, Mistake("There is no such file.", code="not_found"))
    exchange.response_headers.remove(NO_STORE)
    headers = {"etag": file.etag, "cache-control": "no-cache", "vary": "accept-encoding"}
    if exchange.headers.get(b"if-none-match", b"").decode("latin-1") == file.etag:
        await exchange.respond(304, b"", headers, media_type=b"")
        return
    content = file.content
    if b"gzip" in exchange.headers.get(b"accept-encoding", b""):
        content = file.compressed
        headers["content-encoding"] = "gzip"
    await exchange.respond(200, content, headers, media_type=file.media_type)


async def _page(exchange: Exchange) -> None:
    await _answer(exchange, SHELL)


async def _static(exchange: Exchange) -> None:
    await _answer(exchange, exchange.path_parameters["name"])


async def _no_page(exchange: Exchange) -> None:
    """Say that there is no such page: to people in the document, to programs in JSON.

    Raises:
        Refused: the path is one of the page's data.
    """
    if exchange.scope["path"].startswith(API):
        raise Refused(404, Mistake("There is no such route of the page.", code="unknown_url"))
    await exchange.respond(404, _files()[SHELL].content, media_type=HTML)


LOST = Route("GET", "/view/{page}", _no_page, needs_key=False, versioned=False)
"""The route of a path below /view that is none of the others."""


def static_routes() -> list[Route]:
    """The routes of the document and its modules. They hold nothing of the users', and need no key."""
    pages = [
        Route("GET", f"/view{path}", _page, needs_key=False, versioned=False) for path in _PAGES
    ]
    static = Route("GET", "/view/static/{name}", _static, needs_key=False, versioned=False)
    return [*pages, static]
