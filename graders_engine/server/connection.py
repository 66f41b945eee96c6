"""uvicorn's connections, with bounds on time and on headers, and a soft end.

uvicorn waits for ever for a request that has begun, takes headers of any length, and on shutdown closes
a connection at once although a request may be on its way in it.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from graders_engine.errors import Mistake
from graders_engine.server.answers import error_body

MAX_HEAD_BYTES = 64 << 10
"""Of a request's address and headers together."""
LINGER_S = 0.5
"""How long a connection that is idle when the server is told to stop still takes a request."""


class Connection(HttpToolsProtocol):
    """One connection."""

    reading_since: float | None = None
    """When the request that is being read began, by the loop's clock; None between two requests."""
    stuck_since: float | None = None
    """When the client stopped reading the answer."""
    leaving = False
    """Whether the next answer is the last."""
    ended = False
    """Whether the last answer is written, and the rest of what the client sends is thrown away: closed with
    unread data in it, a connection is reset, and the answer may be lost on its way."""
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin; a client that connects has to send something."""
        super().connection_made(transport)
        self.reading_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Something has come."""
        if not self.ended:
            super().data_received(data)

    def on_message_begin(self) -> None:
        """A request begins."""
        if self.cycle is None or self.cycle.response_complete:
            self.reading_since = (
                self.loop.time()
            )  # else the rest of it is read when the one before is done
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of its address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of its headers."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            # Becomes an error of the parser's, which is answered 400.
            raise ValueError("the head of the request is too long")

    def on_headers_complete(self) -> None:
        """Its headers are there."""
        super().on_headers_complete()
        if self.leaving:
            self._is_last()

    def on_message_complete(self) -> None:
        """It is there as a whole."""
        self.reading_since = None
        super().on_message_complete()

    def pause_writing(self) -> None:
        """The client does not read fast enough."""
        self.stuck_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """It has caught up."""
        self.stuck_since = None
        super().resume_writing()

    def end_if_late(self, timeout_s: float) -> None:
        """Break off a client that takes too long to send a request, or to read an answer."""
        now = self.loop.time()
        if self.stuck_since is not None and now - self.stuck_since > timeout_s:
            self.transport.abort()
        elif self.reading_since is not None and now - self.reading_since > timeout_s:
            if self.ended or self.transport.is_closing() or self._is_answering():
                self.transport.abort()
            else:
                self._end(408, f"The request did not come within {timeout_s:g} s.")

    def _is_answering(self) -> bool:
        return (
            self.cycle is not None
            and self.cycle.response_started
            and not self.cycle.response_complete
        )

    def shutdown(self) -> None:
        """The server stops: answer what is here, and what is on its way, and close."""
        self.leaving = True
        if self.ended:
            self.transport.close()
        elif self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LINGER_S, self._close_if_idle)
        else:
            self._is_last()

    def _is_last(self) -> None:
        # In words too, for the client: not every version of uvicorn adds them.
        if self.cycle is not None:
            self.cycle.keep_alive = False
            self.cycle.default_headers = [*self.cycle.default_headers, (b"connection", b"close")]

    def _close_if_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._end(400, msg)

    def _end(self, status: int, message: str) -> None:
        if self.transport.is_closing():
            return
        body = error_body(status, Mistake(message))
        head = (
            STATUS_LINE[status],
            b"content-type: application/json\r\nconnection: close\r\n",
            b"content-length: %d\r\n\r\n" % len(body),
        )
        self.transport.write(b"".join((*head, body)))
        self.transport.write_eof()
        self.ended = True
        self.reading_since = self.loop.time()
