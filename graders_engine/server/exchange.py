"""One HTTP request and its response, over ASGI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from graders_engine.server.responses import ClientGone
from graders_engine.storage.ids import DEFAULT_PROJECT

if TYPE_CHECKING:
    from graders_engine.server.routes import Route

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HTML = b"text/html; charset=utf-8"
JSON = b"application/json"
STREAMED = "graders_engine.streamed"
"""In the scope of a request whose body may take as long as something of it comes."""
NO_PARAMETERS: Mapping[str, str] = MappingProxyType({})
"""Of a path without names in its pattern."""


class Exchange:
    """One request and its response.

    Attributes:
        headers: the request's, by lower-case name.
        request_id: the response's `x-request-id`.
        route: the entry of the table that handles the request.
        project: whose the key is that the request carries; `default` where none is asked for.
        path_parameters: the values of the names in the route's pattern.
        body: the request's, where the route has it read; b"" otherwise.
        reserved_bytes: how much of the body counts towards the server's bound.
        response_headers: headers that every response to this request carries.
        log_fields: what the log says about it, in addition to what it says about every request.
        status: the response's.
        response_body: the response's, unless it is sent in chunks.
        started: whether the response has begun.
    """

    __slots__ = (
        "_send",
        "body",
        "headers",
        "log_fields",
        "path_parameters",
        "project",
        "receive",
        "request_id",
        "reserved_bytes",
        "response_body",
        "response_headers",
        "route",
        "scope",
        "started",
        "status",
    )

    route: Route

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, route: Route, request_id: str
    ) -> None:
        self.scope, self.receive, self._send, self.route = scope, receive, send, route
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.request_id = request_id
        self.project = DEFAULT_PROJECT
        self.path_parameters: Mapping[str, str] = NO_PARAMETERS
        self.body = self.response_body = b""
        self.reserved_bytes = 0
        self.response_headers = [(b"x-request-id", request_id.encode())]
        self.log_fields: dict[str, Any] = {}
        self.status = 500
        self.started = False

    async def read_chunk(self) -> tuple[bytes, bool]:
        """The next piece of the request's body, and whether more follows.

        Raises:
            ClientGone: the client closed the connection before the body's end.
        """
        message = await self.receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        return message.get("body", b""), message.get("more_body", False)

    async def respond(
        self,
        status: int,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        media_type: bytes = JSON,
    ) -> None:
        """Send the whole response.

        Args:
            status: the HTTP status.
            body: what to send.
            headers: further headers.
            media_type: the body's content type; none is sent when it is empty.
        """
        self.status, self.response_body, self.started = status, body, True
        sent = [(b"content-length", b"%d" % len(body)), *self.response_headers]
        if media_type:
            sent.insert(0, (b"content-type", media_type))
        if headers:
            sent += [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": sent})
        await self._send({"type": "http.response.body", "body": body})

    async def start_response(
        self, media_type: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """Start a response with status 200 that is sent in chunks."""
        self.status, self.started = 200, True
        sent = [(b"content-type", media_type), *self.response_headers]
        if headers:
            sent += [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": 200, "headers": sent})

    async def send_chunk(self, body: bytes, *, last: bool = False) -> None:
        """Send the next chunk of the response."""
        await self._send({"type": "http.response.body", "body": body, "more_body": not last})
