"""One request: what came, what goes back, and how much memory its body may take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from graders_engine.errors import Mistake
from graders_engine.server.answers import ClientGone, Refused

_JSON = (b"content-type", b"application/json")


class Exchange:
    """One request and its answer.

    Attributes:
        scope: ASGI's.
        receive: ASGI's.
        headers: the request's, by lower-case name.
        request_id: the answer's `x-request-id`.
        route: the path without its version, for counting; "other" where nothing is served.
        body: what was sent.
        held: how much of it counts as held in memory.
        facts: what the log tells of it, besides what it tells of every request.
        status: the answer's.
        answered: the answer's body, of a page the last piece of it.
        started: whether the answer has begun.
    """

    __slots__ = (
        "_id",
        "_send",
        "answered",
        "body",
        "facts",
        "headers",
        "held",
        "receive",
        "request_id",
        "route",
        "scope",
        "started",
        "status",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        self.scope, self.receive, self._send, self.request_id = scope, receive, send, request_id
        self._id = (b"x-request-id", request_id.encode())
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.route = "other"
        self.body = self.answered = b""
        self.facts: dict[str, Any] = {}
        self.status = 500
        self.held = 0
        self.started = False

    async def answer(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send the whole answer, as JSON."""
        self.status, self.answered, self.started = status, body, True
        sent = [_JSON, (b"content-length", b"%d" % len(body)), self._id]
        if headers:
            sent += [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": sent})
        await self._send({"type": "http.response.body", "body": body})

    async def begin(self, media_type: bytes) -> None:
        """Begin an answer that comes in pieces."""
        self.status, self.started = 200, True
        sent = [(b"content-type", media_type), self._id]
        await self._send({"type": "http.response.start", "status": 200, "headers": sent})

    async def piece(self, body: bytes, *, last: bool = False) -> None:
        """Send the next piece."""
        await self._send({"type": "http.response.body", "body": body, "more_body": not last})

    async def noted(self, message: Message) -> None:
        """Send a page's message; what is noted of an answer is noted of it too."""
        if message["type"] == "http.response.start":
            self.status, self.started = message["status"], True
            message["headers"] = [*message.get("headers", ()), self._id]
        else:
            self.answered = message.get("body", b"")
        await self._send(message)


class BodyBudget:
    """Bounds the memory of all the bodies together; one that comes in a single piece is too short to count.

    Args:
        most: bytes of one body.
        all_most: bytes of all of them, from their first piece until their requests are answered.
    """

    def __init__(self, most: int, all_most: int) -> None:
        self._most, self._all_most, self._held = most, all_most, 0

    async def read(self, call: Exchange) -> None:
        """Read a request's body to its end.

        Raises:
            Refused: it is too long, or all that are held are.
            ClientGone: it ended before its end.
        """
        declared = call.headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._most:
            raise self._too_long()
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await call.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            piece = message.get("body", b"")
            size += len(piece)
            if size > self._most:
                raise self._too_long()
            if not message.get("more_body"):
                call.body = b"".join((*pieces, piece)) if pieces else piece
                return
            pieces.append(piece)
            self._hold(call, len(piece))

    def _hold(self, call: Exchange, size: int) -> None:
        call.held += size
        self._held += size
        if self._held > self._all_most:
            message = "The server holds too many long bodies. Try again later."
            raise Refused(429, Mistake(message, code="busy"), {"retry-after": "1"})

    def release(self, call: Exchange) -> None:
        """The request is answered."""
        self._held -= call.held

    def _too_long(self) -> Refused:
        text = (
            f"Invalid body: it is longer than {self._most} bytes, the most that this server takes."
        )
        return Refused(413, Mistake(text, code="body_too_large"))
