"""The table of routes: which handler serves a method and a path, and what it needs."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any
from urllib.parse import unquote

from graders_engine.errors import Mistake
from graders_engine.server.exchange import NO_PARAMETERS, Exchange, Scope
from graders_engine.server.responses import Refused

Handler = Callable[[Exchange], Awaitable[None]]
"""Handles a request and sends its response; what it raises is answered with an error object."""

PREFIXES = ("", "/v1", "/openai", "/openai/v1")
"""Where clients of the hosted API and of Azure's look for its routes."""
NOT_KEPT = "This server keeps no files, evals and jobs: start it with --jobs DIR."
"""The answer of the routes that a server without a store does not have."""
_STORED = ("/files", "/evals", "/fine_tuning/jobs", "/fine_tuning/checkpoints", "/models")
"""Where these begin."""
_NAME = re.compile(r"{(\w+)}")


class Body(Enum):
    """How a route's request body is read."""

    NONE = "none"
    """Not at all."""
    JSON = "json"
    """Whole, into `Exchange.body`, within the server's bounds; the request has to say that it is JSON."""
    OPTIONAL = "optional"
    """As JSON; or there is none, and then nothing has to say that it is JSON, as of some SDKs."""
    STREAM = "stream"
    """By the handler, with `Exchange.read_chunk`; the handler bounds its length."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What the OpenAPI document says about a route.

    Attributes:
        id: its name in clients that are made from the document.
        description: what it does; the first sentence is the summary.
        request: the schema of the body, by name; empty when there is no body.
        response: the schema of the response, by name.
        lines: the schema of one piece, where the response may come in pieces.
        errors: what statuses mean that mean something else than for most routes.
        query: the parameters behind the `?`, by name, each with its schema; none of them is required.
        takes: the type of the request's body.
        gives: the type of the response.
        lines_as: the type of a response in pieces.
    """

    id: str
    description: str
    request: str
    response: str
    lines: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    takes: str = "application/json"
    gives: str = "application/json"
    lines_as: str = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Route:
    """One entry of the table.

    Attributes:
        method: GET serves HEAD too.
        pattern: a path; each `{name}` in it stands for one segment.
        needs_key: whether requests must carry the API key, where the server has one.
        body: how the request's body is read.
        versioned: whether the path is served below each of `PREFIXES`, or only as it is.
        operation: its description in the OpenAPI document; None to leave it out.
        browsed: whether people open it in a browser, which asks them for the key as a password.
        with_slashes: the names in the pattern that stand for one or more segments.
    """

    method: str
    pattern: str
    handler: Handler
    needs_key: bool = True
    body: Body = Body.NONE
    versioned: bool = True
    operation: Operation | None = None
    browsed: bool = False
    with_slashes: Collection[str] = ()

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in its pattern."""
        return tuple(_NAME.findall(self.pattern))

    @property
    def paths(self) -> tuple[str, ...]:
        """The patterns of all the paths it is served at."""
        if not self.versioned:
            return (self.pattern,)
        return tuple(prefix + self.pattern for prefix in PREFIXES)


@dataclass(frozen=True, slots=True)
class Site:
    """Pages for people, which a browser keeps apart from all else.

    Attributes:
        routes: of the pages, and of what they ask for.
        below: what the paths of all of them begin with.
        headers: of every answer there, whether there is such a route or not.
        home: where `/` leads people.
        lost: says that there is no such page: the route of what begins as its pattern does and has no other.
        during: entered when the application starts, and left when it ends.
    """

    routes: Sequence[Route]
    below: str
    headers: Sequence[tuple[bytes, bytes]]
    home: str
    lost: Route | None = None
    during: Sequence[AbstractAsyncContextManager[object]] = ()


@dataclass(slots=True)
class _Resource:
    """The routes of one path, by method."""

    by_method: dict[str, Route] = field(default_factory=dict)

    def add(self, route: Route) -> None:
        for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
            if method in self.by_method:
                raise ValueError(f"{method} {route.pattern} has two routes")
            self.by_method[method] = route

    def find(self, method: str) -> Route:
        return self.by_method.get(method) or self._not_allowed()

    def _not_allowed(self) -> Route:
        routes = self.by_method.values()
        return Route(
            "",
            next(iter(routes)).pattern,
            partial(_refuse_method, ", ".join(self.by_method)),
            needs_key=any(route.needs_key for route in routes),
        )


class RouteTable:
    """Finds the route of a request: a look-up for a path without parameters, a search for the others.

    Args:
        routes: the entries. Of two patterns that match a path, the first one wins.
        unknown: the route of a path that no entry has.
        lost: as of `Site`.

    Raises:
        ValueError: a method and path have two routes.

    Example:
        >>> async def cancel(exchange: Exchange) -> None:
        ...     await exchange.respond(200, exchange.path_parameters["job_id"].encode())
        >>> table = RouteTable([Route("POST", "/jobs/{job_id}/cancel", cancel)])
        >>> route, parameters = table.find("POST", "/v1/jobs/7/cancel")
        >>> parameters
        {'job_id': '7'}
    """

    def __init__(
        self,
        routes: Iterable[Route],
        unknown: Route | None = None,
        lost: Route | None = None,
    ) -> None:
        self._unknown, self._lost = unknown or UNKNOWN, lost
        self._exact: dict[str, _Resource] = {}
        by_expression: dict[str, _Resource] = {}
        for route in routes:
            for path in route.paths:
                if route.parameters:
                    expression = _expression(path, route.with_slashes)
                    by_expression.setdefault(expression, _Resource()).add(route)
                else:
                    self._exact.setdefault(path, _Resource()).add(route)
        self._patterns = [
            (re.compile(expression, re.DOTALL), resource)
            for expression, resource in by_expression.items()
        ]

    def find(
        self, method: str, path: str, raw_path: bytes | None = None
    ) -> tuple[Route, Mapping[str, str]]:
        """The route of a request and its path parameters; a route that refuses it, if no other matches.

        Args:
            method: the request's.
            path: decoded.
            raw_path: as it was sent; a name in it may have an encoded slash.
        """
        resource = self._exact.get(path)
        if resource is not None:
            return resource.find(method), NO_PARAMETERS
        sent = path if raw_path is None else raw_path.decode("latin-1")
        for expression, candidate in self._patterns:
            if match := expression.fullmatch(sent):
                route = candidate.find(method)
                values = match.groups() if raw_path is None else map(unquote, match.groups())
                return route, dict(zip(route.parameters, values, strict=True))
        page = self._exact.get(path.removesuffix("/"))
        is_page = page is not None and "GET" in page.by_method
        lost = self._lost
        if lost is None or not path.startswith(lost.pattern.partition("{")[0]):
            return (_REDIRECT if is_page else self._unknown), NO_PARAMETERS
        if method not in ("GET", "HEAD"):
            return self._unknown, NO_PARAMETERS
        return (_REDIRECT_OF_SITE if is_page else lost), NO_PARAMETERS


def _expression(path: str, with_slashes: Collection[str]) -> str:
    """A pattern as a regular expression. Without names: each method of a path may name them differently."""
    parts = _NAME.split(path)  # texts and names in turn
    parts[::2] = map(re.escape, parts[::2])
    parts[1::2] = ["(.+)" if name in with_slashes else "([^/]+)" for name in parts[1::2]]
    return "".join(parts)


_CHAT = "/chat/completions"
_OF_MODELS = (_CHAT, "/responses", "/embeddings")
_NO_MODELS = (
    " This address is this server, `graders serve`, which answers no such requests: name the address of an "
    "endpoint with --base-url or in graders.toml. Does OPENAI_BASE_URL lead here?"
)
_WITH_JOBS = (
    " Started with --jobs DIR, it answers for the models of graders.toml and those of its jobs."
)


def _unknown_path(scope: Scope, *, keeps: bool) -> Refused:
    method, path = scope["method"], scope["path"]
    message = f"Unknown request URL: {method} {path}. /docs lists the routes."
    if method == "POST" and path.endswith(_OF_MODELS):
        message += _NO_MODELS
        if path.endswith(_CHAT) and not keeps:
            message += _WITH_JOBS
    return Refused(404, Mistake(message, code="unknown_url"))


async def _refuse_path(exchange: Exchange) -> None:
    raise _unknown_path(exchange.scope, keeps=True)


async def _refuse_stored(exchange: Exchange) -> None:
    path = exchange.scope["path"]
    for prefix in PREFIXES:
        for stored in _STORED:
            if path == prefix + stored or path.startswith(f"{prefix}{stored}/"):
                raise Refused(404, Mistake(NOT_KEPT, code="unknown_url"))
    raise _unknown_path(exchange.scope, keeps=False)


async def _refuse_method(allowed: str, exchange: Exchange) -> None:
    message = f"Not allowed method ({exchange.scope['method']}). Use {allowed}."
    raise Refused(405, Mistake(message, code="method_not_allowed"), {"allow": allowed})


async def _redirect(exchange: Exchange) -> None:
    """Send the client to the same path without the slash at its end."""
    scope = exchange.scope
    host = exchange.headers.get(b"host", b"").decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    location = f"{scope['scheme']}://{host}" if host else ""
    location += scope["path"].removesuffix("/") + (f"?{query}" if query else "")
    await exchange.respond(307, b"", {"location": location}, media_type=b"")


UNKNOWN = Route("", "other", _refuse_path)
"""The route of a path that the table does not have; "other" is its name in the metrics."""
UNKNOWN_WITHOUT_STORE = Route("", "other", _refuse_stored)
"""The same, of a server that keeps no files, evals and jobs: it says how to have them."""
_REDIRECT = Route("", "other", _redirect)
_REDIRECT_OF_SITE = Route("", "other", _redirect, needs_key=False)
