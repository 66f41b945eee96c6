"""What surrounds every handler: counts, the log, errors, guards, bodies. `App` has their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

from graders_engine.errors import DataSetError, Mistake
from graders_engine.server.body_budget import BodyBudget
from graders_engine.server.exchange import HTML, STREAMED, Exchange
from graders_engine.server.logs import Log, body_text, describe_exception
from graders_engine.server.responses import (
    ERROR_PAGE_POLICY,
    NO_RETRY,
    ClientGone,
    Refused,
    error_body,
    error_page,
    refusal,
)
from graders_engine.server.routes import Body, Handler, RouteTable
from graders_engine.server.telemetry import ServerMetrics
from graders_engine.storage.errors import StoreError

Middleware = Callable[[Handler], Handler]
"""Takes what handles a request next, and gives a handler with something done around it."""

CLIENT_GONE = 499
"""Logged as the status of a request whose client did not wait for the response."""


def apply(layers: Sequence[Middleware], handler: Handler) -> Handler:
    """The handler with these layers around it, the first one outermost."""
    for layer in reversed(layers):
        handler = layer(handler)
    return handler


def before(*steps: Callable[[Exchange], None]) -> Middleware:
    """Calls these functions first, in this order; what one raises ends the request."""

    def layer(handler: Handler) -> Handler:
        async def checked(exchange: Exchange) -> None:
            for step in steps:
                step(exchange)
            await handler(exchange)

        return checked

    return layer


def add_headers(below: str, headers: Sequence[tuple[bytes, bytes]]) -> Callable[[Exchange], None]:
    """For `before`: gives headers to every answer to a path that begins so."""

    def add(exchange: Exchange) -> None:
        if exchange.scope["path"].startswith(below):
            exchange.response_headers += headers

    return add


def find_route(table: RouteTable) -> Callable[[Exchange], None]:
    """For `before`: finds the route of each request."""

    def find(exchange: Exchange) -> None:
        scope = exchange.scope
        exchange.route, exchange.path_parameters = table.find(
            scope["method"], scope["path"], scope.get("raw_path")
        )

    return find


def record(metrics: ServerMetrics, log: Log, *, bodies: bool) -> Middleware:
    """Counts and logs each request when it has ended.

    Args:
        metrics: counts the requests in progress, and those that ended, with their durations.
        log: where to log them.
        bodies: whether the bodies of requests and responses are logged.
    """

    def layer(handler: Handler) -> Handler:
        async def recorded(exchange: Exchange) -> None:
            started = perf_counter()
            metrics.in_flight += 1
            try:
                await handler(exchange)
            except ClientGone:
                exchange.status = CLIENT_GONE
            finally:
                metrics.in_flight -= 1
                seconds = perf_counter() - started
                metrics.request_ended(exchange.route.pattern, exchange.status, seconds)
                line = {
                    "request_id": exchange.request_id,
                    "method": exchange.scope["method"],
                    "path": exchange.scope["path"][:200],
                    "status": exchange.status,
                    "seconds": round(seconds, 6),
                    **exchange.log_fields,
                }
                if bodies:
                    line["request"] = body_text(exchange.body)
                    line["response"] = body_text(exchange.response_body)
                log.write(line)

        return recorded

    return layer


async def _answer(exchange: Exchange, refused: Refused) -> None:
    """Answer with an error: a page where a browser opens one, else the API's object."""
    if exchange.route.browsed and b"text/html" in exchange.headers.get(b"accept", b""):
        page = error_page(refused.status, refused.mistake)
        headers = {**refused.headers, "content-security-policy": ERROR_PAGE_POLICY}
        await exchange.respond(refused.status, page, headers, media_type=HTML)
    else:
        body = error_body(refused.status, refused.mistake)
        await exchange.respond(refused.status, body, refused.headers)


def answer_errors(*, log_messages: bool) -> Middleware:
    """Answers exceptions with the API's error object.

    Args:
        log_messages: whether the message of an unexpected exception is logged; it may quote what users sent.
    """

    def layer(handler: Handler) -> Handler:
        async def answered(exchange: Exchange) -> None:
            try:
                await handler(exchange)
            except ClientGone:
                raise
            except Exception as error:
                refused = refusal(error)
                if refused is None:
                    exchange.log_fields["exception"] = describe_exception(
                        error, with_message=log_messages
                    )
                    message = (
                        f"Internal error; the server's log has more under {exchange.request_id}."
                    )
                    refused = Refused(500, Mistake(message, code="internal_error"), NO_RETRY)
                exchange.log_fields["error"] = refused.mistake.code
                if isinstance(error, StoreError) and error.path is not None:
                    exchange.log_fields["path_on_disk"] = str(error.path)
                elif isinstance(error, DataSetError):  # the response has no paths
                    exchange.log_fields["reason"] = str(error)
                if exchange.started:  # it cannot be taken back: raising closes the connection
                    raise
                await _answer(exchange, refused)

        return answered

    return layer


def read_body(budget: BodyBudget) -> Middleware:
    """Reads the body where the route wants JSON, and frees it when the request is answered."""

    def layer(handler: Handler) -> Handler:
        async def with_body(exchange: Exchange) -> None:
            if exchange.route.body in (Body.JSON, Body.OPTIONAL):
                try:
                    await budget.read(exchange)
                    await handler(exchange)
                finally:
                    budget.release(exchange)
            else:
                if exchange.route.body is Body.STREAM:
                    exchange.scope[STREAMED] = True
                await handler(exchange)

        return with_body

    return layer
