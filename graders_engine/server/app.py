"""The ASGI application: a table of routes, and the middleware around every handler."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from graders_engine.engine import AsyncEngine
from graders_engine.models.local.source import LocalSource
from graders_engine.server.body_budget import BodyBudget
from graders_engine.server.exchange import Exchange, Receive, Scope, Send
from graders_engine.server.guards import RequestGuard, mark_azure
from graders_engine.server.logs import Log
from graders_engine.server.middleware import (
    add_headers,
    answer_errors,
    apply,
    before,
    find_route,
    read_body,
    record,
)
from graders_engine.server.pages import page_routes
from graders_engine.server.reward.description import SCHEMAS
from graders_engine.server.reward.route import RewardRoute
from graders_engine.server.routes import UNKNOWN, Route, RouteTable, Site
from graders_engine.server.service import Service
from graders_engine.server.settings import ServerSettings
from graders_engine.server.telemetry import ServerMetrics
from graders_engine.storage.ids import DEFAULT_PROJECT

MAX_LARGE_BODIES = 8
"""Bodies of the greatest length that may be in memory at a time."""


class App:
    """The application.

    Args:
        engine: grades; it is opened when the application starts, and closed when it ends.
        settings: how much the server takes on, and from whom.
        metrics: counts.
        log: where requests are logged.
        routes: further routes, besides the graders' and the pages.
        schemas: the schemas that the operations of further routes name, for the OpenAPI document.
        grader: the grader of the reward route; None for a server without one.
        during: entered, in this order, when the application starts, and left when it ends.
        unknown: the route of paths that no entry has.
        site: pages for people.
        grades: whether it has the graders' routes; without them it is the site alone.
        local: the models of this machine, as a project may use them; None for a server without any.

    Raises:
        InvalidGrader: the grader has mistakes.
        UnavailableGrader: the engine cannot run it.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        settings: ServerSettings,
        metrics: ServerMetrics,
        log: Log,
        *,
        routes: Sequence[Route] = (),
        schemas: Mapping[str, Any] | None = None,
        grader: Any = None,
        during: Sequence[AbstractAsyncContextManager[object]] = (),
        unknown: Route = UNKNOWN,
        site: Site | None = None,
        grades: bool = True,
        local: Callable[[str], LocalSource] | None = None,
    ) -> None:
        self._engine, self._during = engine, (*during, *(site.during if site else ()))
        self._ids = map(f"req_{secrets.token_hex(10)}%012x".__mod__, itertools.count())
        self._service = Service(engine, settings, metrics, local)
        described = [*(self._service.routes() if grades else ()), *routes]
        known = dict(schemas or {})
        if grader is not None:
            compiled = engine.compile(grader, local=local(DEFAULT_PROJECT) if local else None)
            reward = RewardRoute(compiled, self._service.scheduler, settings, metrics)
            described += reward.routes()
            known |= SCHEMAS
        table = RouteTable(
            [
                *described,
                *page_routes(described, known, metrics, site.home if site else "docs"),
                *(site.routes if site else ()),
            ],
            unknown,
            site.lost if site else None,
        )
        guard = RequestGuard(settings)
        max_bytes = settings.max_body_bytes
        self._handle = apply(
            (
                record(metrics, log, bodies=settings.log_bodies),
                answer_errors(log_messages=settings.log_bodies),
                before(
                    *([add_headers(site.below, site.headers)] if site else ()),
                    mark_azure,
                    guard.check_host,
                    find_route(table),
                    guard.check_key,
                    guard.check_form,
                ),
                read_body(BodyBudget(max_bytes, MAX_LARGE_BODIES * max_bytes)),
            ),
            _run_handler,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or open and close with the server."""
        if scope["type"] == "http":
            await self._handle(Exchange(scope, receive, send, UNKNOWN, next(self._ids)))
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        phase = "startup"
        try:
            await receive()
            async with self._engine, contextlib.AsyncExitStack() as stack:
                for context in self._during:
                    await stack.enter_async_context(context)
                await send({"type": "lifespan.startup.complete"})
                phase = "shutdown"
                await receive()
                self._service.close()
        except BaseException:
            await send({"type": f"lifespan.{phase}.failed", "message": traceback.format_exc()})
            raise
        await send({"type": "lifespan.shutdown.complete"})


async def _run_handler(exchange: Exchange) -> None:
    await exchange.route.handler(exchange)
