"""The ASGI application: routes, request ids, errors and counts around the grader service."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import cast

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily as Counter
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from graders_engine.engine import AsyncEngine
from graders_engine.errors import Mistake
from graders_engine.server.answers import NO_RETRY, ClientGone, Refused, error_body, refusal
from graders_engine.server.exchange import BodyBudget, Exchange
from graders_engine.server.guards import RequestGuard
from graders_engine.server.logs import Log, shown, told
from graders_engine.server.openapi import ROUTES, docs_page, document
from graders_engine.server.service import Service
from graders_engine.server.settings import ServerSettings
from graders_engine.server.telemetry import ServerMetrics

LONG_BODIES = 8
"""Bodies of the greatest length that may be in memory at a time."""
OPEN = ("/healthz", "/docs", "/openapi.json")
"""What is shown without a key: nothing of the users'."""
CLIENT_GONE = 499
"""Stands in the log for a status where the client did not wait for one."""

_Endpoint = Callable[[Exchange], Awaitable[bytes | None]]


class App:
    """The application.

    Args:
        engine: grades; opened when the application starts and closed when it ends.
        settings: how much is taken on, and from whom.
        figures: what is counted.
        log: where requests are told of.
    """

    def __init__(
        self, engine: AsyncEngine, settings: ServerSettings, figures: ServerMetrics, log: Log
    ) -> None:
        self._settings, self._figures, self._log = settings, figures, log
        self._service = Service(engine, settings, figures)
        self._door = RequestGuard(settings)
        self._hold = BodyBudget(settings.max_body_bytes, LONG_BODIES * settings.max_body_bytes)
        self._ids = map(f"req_{secrets.token_hex(10)}%012x".__mod__, itertools.count())
        self._under_way = 0
        service = self._service
        graders = service.graders
        figures.levels += [
            (Gauge, "graders_requests_under_way", "Requests not done.", lambda: self._under_way),
            (Gauge, "graders_queue_depth", "Rows that wait for their turn.", service.waiting),
            (Gauge, "graders_kept_graders", "Compiled graders in memory.", lambda: len(graders)),
            (Counter, "graders_compiled", "Graders compiled.", lambda: graders.made),
            (Counter, "graders_reused", "Graders found in memory.", lambda: graders.found),
        ]
        self._posts: dict[str, _Endpoint] = {
            prefix + route: getattr(service, route.rpartition("/")[2])
            for route in ROUTES
            for prefix in ("", "/v1")
        }
        self._pages = Starlette(
            routes=[
                Route("/healthz", _healthz),
                Route("/metrics", self._metrics),
                Route("/docs", _docs),
                Route("/openapi.json", _openapi),
            ],
            lifespan=self._lifespan,
            exception_handlers={HTTPException: _not_there},
        )
        self._engine = engine

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        async with self._engine:
            yield
            self._service.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._pages(scope, receive, send)
            return
        started = perf_counter()
        self._under_way += 1
        call = Exchange(scope, receive, send, next(self._ids))
        try:
            await self._answer(call)
        except ClientGone:
            call.status = CLIENT_GONE
        finally:
            self._under_way -= 1
            self._hold.release(call)
            seconds = perf_counter() - started
            self._figures.requests(call.route).add(call.status, seconds)
            self._tell(call, seconds)

    async def _answer(self, call: Exchange) -> None:
        scope = call.scope
        endpoint = self._posts.get(scope["path"])
        try:
            self._door.check_host(call.headers)
            if endpoint is None:
                await self._page(call)
                return
            call.route = scope["path"].removeprefix("/v1")
            self._door.check_key(call.headers)
            if scope["method"] != "POST":
                raise _not_allowed(scope["method"], "POST")
            self._door.check_form(call.headers)
            await self._hold.read(call)
            body = await endpoint(call)
            if body is not None:
                await call.answer(200, body)
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: every request gets an answer
            await self._refuse(call, error)

    async def _refuse(self, call: Exchange, error: Exception) -> None:
        refused = refusal(error)
        if refused is None:
            call.facts["exception"] = told(error, message=self._settings.log_bodies)
            message = f"Internal error; the server's log says more under {call.request_id}."
            refused = Refused(500, Mistake(message, code="internal_error"), NO_RETRY)
        call.facts["error"] = refused.mistake.code
        if call.started:  # the answer cannot be taken back: ending it here breaks it off
            raise error
        await call.answer(
            refused.status, error_body(refused.status, refused.mistake), refused.headers
        )

    async def _page(self, call: Exchange) -> None:
        path = call.scope["path"]
        if path not in OPEN:
            self._door.check_key(call.headers)
        if path in (route.path for route in self._pages.routes if isinstance(route, Route)):
            call.route = path
        await self._pages(call.scope, call.receive, call.noted)

    def _tell(self, call: Exchange, seconds: float) -> None:
        scope = call.scope
        line = {
            "request_id": call.request_id,
            "method": scope["method"],
            "path": scope["path"][:200],
            "status": call.status,
            "seconds": round(seconds, 6),
            **call.facts,
        }
        if self._settings.log_bodies:
            line |= {"request": shown(call.body), "response": shown(call.answered)}
        self._log.write(line)

    async def _metrics(self, request: Request) -> Response:
        return Response(generate_latest(self._figures.registry), media_type=CONTENT_TYPE_LATEST)


async def _healthz(request: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _openapi(request: Request) -> Response:
    return Response(document(), media_type="application/json")


async def _docs(request: Request) -> Response:
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
    return HTMLResponse(docs_page(), headers={"content-security-policy": policy})


async def _not_there(request: Request, error: Exception) -> Response:
    raised = cast("HTTPException", error)  # what this is registered for
    if raised.status_code == 405:
        refused = _not_allowed(request.method, (raised.headers or {}).get("Allow", "GET"))
    else:
        message = (
            f"Unknown request URL: {request.method} {request.url.path}. /docs lists what there is."
        )
        refused = Refused(404, Mistake(message, code="unknown_url"))
    return Response(
        error_body(refused.status, refused.mistake),
        refused.status,
        refused.headers,
        "application/json",
    )


def _not_allowed(method: str, allowed: str) -> Refused:
    message = f"Not allowed method ({method}). Use {allowed}."
    return Refused(405, Mistake(message, code="method_not_allowed"), {"allow": allowed})
