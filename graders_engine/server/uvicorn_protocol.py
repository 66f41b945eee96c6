"""All that relies on private parts of uvicorn: its HTTP protocol and server, with bounds and a graceful end.

uvicorn waits without end for a request that has begun, takes headers of any length, and on shutdown closes a
connection at once although a request may be on its way. The version is bounded in pyproject.toml, and
tests/server/test_uvicorn_contract.py checks each name that is used here.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from graders_engine.errors import Mistake
from graders_engine.server.listener import accept_last
from graders_engine.server.responses import error_body

MAX_HEAD_BYTES = 64 << 10
"""Bound on the address and the headers of a request together."""
LINGER_S = 0.5
"""How long a connection that is idle when the server stops still accepts a request."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Connection(HttpToolsProtocol):
    """One connection."""

    _reading_since: float | None = None
    """When the request that is being read began, by the loop's clock; None between two requests."""
    _blocked_since: float | None = None
    """When the client stopped reading the response."""
    _leaving = False
    """Whether the next response is the last."""
    _ended = False
    """Whether the last response is written, and what the client still sends is dropped. A connection that is
    closed with unread data is reset, and the response may be lost on its way."""
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Begin; a client that connects has to send something."""
        super().connection_made(transport)
        self._reading_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Parse what was received."""
        if not self._ended:
            super().data_received(data)

    def on_message_begin(self) -> None:
        """A request begins."""
        if self.cycle is None or self.cycle.response_complete:
            # Otherwise the rest of it is read when the request before is answered.
            self._reading_since = self.loop.time()
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of the headers."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            # Becomes an error of the parser's, which is answered 400.
            raise ValueError("the head of the request is too long")

    def on_headers_complete(self) -> None:
        """All headers are read."""
        super().on_headers_complete()
        if self._leaving:
            self._close_after_response()

    def on_message_complete(self) -> None:
        """The whole request is read."""
        self._reading_since = None
        super().on_message_complete()

    def pause_writing(self) -> None:
        """The client does not read fast enough."""
        self._blocked_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._blocked_since = None
        super().resume_writing()

    def end_if_late(self, timeout_s: float) -> None:
        """Drop a client that takes too long to send a request, or to read a response."""
        now = self.loop.time()
        if self._blocked_since is not None and now - self._blocked_since > timeout_s:
            self.transport.abort()
        elif self._reading_since is not None and now - self._reading_since > timeout_s:
            if self._ended or self.transport.is_closing() or self._is_answering():
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
        """The server stops: answer the request that is here, or on its way, and close."""
        self._leaving = True
        if self._ended:
            self.transport.close()
        elif self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LINGER_S, self._close_if_idle)
        else:
            self._close_after_response()

    def _close_after_response(self) -> None:
        # The header tells the client; not every version of uvicorn adds it.
        if self.cycle is not None:
            self.cycle.keep_alive = False
            self.cycle.default_headers = [*self.cycle.default_headers, (b"connection", b"close")]

    def _close_if_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
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
        self._ended = True
        self._reading_since = self.loop.time()


class Server(uvicorn.Server):
    """uvicorn's server with time-outs, and an end that answers every accepted request.

    Args:
        config: uvicorn's, with `Connection` for its HTTP protocol.
        read_timeout_s: longest time a client may take to send a request, or to continue reading a response.
        on_ready: called when requests are taken.
    """

    def __init__(
        self, config: uvicorn.Config, read_timeout_s: float, on_ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._read_timeout_s, self._on_ready = read_timeout_s, on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to take requests."""
        await super().startup(sockets)
        self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        """Look after the connections; called ten times a second."""
        if counter % 10 == 0:
            self._end_late_connections()
        return await super().on_tick(counter)

    def _end_late_connections(self) -> None:
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection):
                connection.end_if_late(self._read_timeout_s)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept the connections that wait in the system's queue, close the listener, answer all requests."""
        loop = asyncio.get_running_loop()
        accepted = [
            connection for listener in sockets or () for connection in accept_last(listener)
        ]
        arrivals = [
            loop.create_task(loop.connect_accepted_socket(self._last_connection, connection))
            for connection in accepted
        ]
        watching = loop.create_task(self._watch())
        await super().shutdown(sockets)
        watching.cancel()
        await asyncio.gather(watching, *arrivals, return_exceptions=True)

    def _last_connection(self) -> Connection:
        connection = Connection(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        connection.shutdown()
        return connection

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._end_late_connections()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM or SIGINT. uvicorn would raise them again at the end; here the exit code is 0."""
        # Not the loop's `add_signal_handler`, which Windows does not have. The loop wakes ten times a second.
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
