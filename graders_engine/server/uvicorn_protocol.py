"""uvicorn's HTTP protocol, with bounds and a graceful end.

uvicorn waits without end for a request that has begun, takes headers of any length, and on shutdown closes a
connection at once although a request may be on its way. This and `uvicorn_server` are all that relies on
private parts of uvicorn: the version is bounded in pyproject.toml, and tests/server/test_uvicorn_contract.py
checks each name that is used.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from graders_engine.errors import Mistake
from graders_engine.server.acceptor import Standing, has_unread
from graders_engine.server.exchange import STREAMED
from graders_engine.server.responses import error_body
from graders_engine.server.turns import Turns

MAX_HEAD_BYTES = 64 << 10
"""Bound on the address and the headers of a request together."""
HEADER_BYTES = 32
"""What a header counts beyond its name and value: in memory, short ones take far more than their text."""
MAX_PIPELINED = 100
"""Requests that may wait on one connection for the response to the one before."""
STALLED_S = 0.1
STALLED_BYTES_PER_S = 1000
MOST_AHEAD_S = 2.0
"""A request has this time, and more for each byte, but never more than so much ahead, or twice that when
it has come for so long already: then it has stalled, and its connection may be closed for others."""
SILENT_S = 1.0
"""How long a connection that waits for a request stays open at least."""
FEW_REQUESTS = 2
"""A client that has had no more answered than so many does not keep its connection as long as others do."""
BLOCKED_S = 2.0
"""A client that does not read a response for this long may be closed for others, and at the end."""
BEHIND_S = 1.0
"""The same for one that has always sent the next request already when one is answered."""
LINGER_S = 0.5
"""How long a connection that is idle when the server stops still accepts a request."""


class Flow(FlowControl):
    """Reads nothing more while a part of what was read has to wait."""

    holds = False
    """Whether a part has to wait."""

    def resume_reading(self) -> None:
        """Read again, where that is allowed."""
        if not self.holds:
            super().resume_reading()


class Connection(HttpToolsProtocol):
    """One connection."""

    turns: Turns
    """Of the requests of all connections that wait behind another; set by the server."""
    _reading_since: float | None = None
    """When the request that is being read began, by the loop's clock; None between two requests."""
    _blocked_since: float | None = None
    """When the client stopped reading the response."""
    _leaving = False
    """Whether the next response is the last."""
    _ended = False
    """Whether the last response is written, and what the client still sends is dropped. A connection that is
    closed with unread data is reset, and the response may be lost on its way."""
    _broken = False
    """Whether the client has sent what is not HTTP behind a request; the rest of it is dropped."""
    _idle_since = 0.0
    """When the last request was answered."""
    _has_sent = False
    """Whether the client has sent anything."""
    _answered = 0
    """How many requests were answered."""
    _running: RequestResponseCycle | None = None
    """The request that is being answered; `cycle` is the last one that was read."""
    _flow: Flow
    _held = b""
    """What the client has sent behind a request; it is read when that one is answered."""
    _behind_since: float | None = None
    """Since when there has always been a request behind the one that is answered."""
    _stalls_at = 0.0
    """When the request that is being read has stalled, if no more of it comes."""
    _in_message = False
    """Whether a request has begun, and not ended."""
    _head_bytes, _in_head = 0, True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Begin; a client that connects has to send something."""
        super().connection_made(transport)
        self.flow = self._flow = Flow(transport)
        transport.set_write_buffer_limits(
            high=0
        )  # any data that the client does not read blocks it
        self._reading_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Parse what was received."""
        if self._ended or self._broken:
            return
        if self._is_behind():
            if not self._leaving:
                self._held += data
            self._note_behind()
            self._flow.holds = True
            self._flow.pause_reading()
            return
        now = self.loop.time()
        if self._reading_since is None and not self._is_busy():
            # Even data that begins no request, such as empty lines, must lead to one in time.
            self._read_from(now)
        if not self._has_sent:
            self._has_sent = True
            self._stalls_at = now + STALLED_S
        credit = len(data) / STALLED_BYTES_PER_S
        so_far = now - (now if self._reading_since is None else self._reading_since)
        ahead = MOST_AHEAD_S + min(so_far, MOST_AHEAD_S)
        self._stalls_at = min(max(self._stalls_at, now) + credit, now + ahead)
        super().data_received(data)
        if self._reading_since is not None and self._is_busy() and STREAMED in self.cycle.scope:
            self._reading_since = now

    def _read_from(self, now: float) -> None:
        """Begin to measure how long a request takes to come."""
        self._reading_since = now
        self._stalls_at = now + STALLED_S

    def _is_behind(self) -> bool:
        """Whether what comes now has to wait: for a response, or until the client has read one."""
        if self._is_busy():
            return not self._is_reading_body()
        return self._blocked_since is not None

    def _note_behind(self) -> None:
        """The client has sent a request without waiting for the response to the one before."""
        if self._behind_since is None and not self._leaving:
            self._behind_since = self.loop.time()

    def _is_busy(self) -> bool:
        """Whether a request is waiting for its response."""
        return self.cycle is not None and not self.cycle.response_complete

    def on_message_begin(self) -> None:
        """A request begins."""
        if not self._is_busy():
            # Otherwise the rest of it is read when the request before is answered.
            self._reading_since = self.loop.time()
        self._head_bytes = 0
        self._in_head = self._in_message = True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of the headers, or of the trailers, which come after the body and are dropped."""
        self._count(len(name) + len(value) + HEADER_BYTES)
        if self._in_head:
            super().on_header(name, value)

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            # Becomes an error of the parser's, which is answered 400.
            raise ValueError("the head of the request is too long")

    def on_headers_complete(self) -> None:
        """All headers are read."""
        self._in_head = False
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests wait on this connection")  # answered 400
        super().on_headers_complete()
        if self.pipeline:
            self._note_behind()
        else:
            self._running = self.cycle
        # What follows a request for another protocol, which is answered as any other, is not parsed.
        if self._leaving or self.parser.should_upgrade():
            self._close_after_response()

    def on_message_complete(self) -> None:
        """The whole request is read."""
        self._reading_since = None
        self._in_message = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The whole response is written."""
        self._idle_since = self.loop.time()
        self._answered += 1
        if self.pipeline and not self._leaving:
            self.turns.wait(self._go_on)
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Continue with the next request, unless the server stops."""
        if self._leaving:
            self.transport.close()
        elif self.pipeline:
            self._running = self.pipeline[-1][0]
        super().on_response_complete()
        self._read_held()
        if self._in_message and self._reading_since is None and not self.pipeline:
            # The next request had begun; the rest of it is read from now on.
            self._read_from(self._idle_since)

    def pause_writing(self) -> None:
        """The client does not read fast enough."""
        self._blocked_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._blocked_since = None
        super().resume_writing()
        self._read_held()

    def _read_held(self) -> None:
        """Go on with what the client has sent behind the request that is answered now."""
        if not self._is_behind() and not self.transport.is_closing():
            held, self._held = self._held, b""
            self._flow.holds = False
            self._flow.resume_reading()
            if held:
                self.data_received(held)
        if not self.pipeline and not self._held:
            self._behind_since = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits for the response any more."""
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        self._held = b""
        super().connection_lost(exc)

    def end_if_late(self, timeout_s: float, *, stopping: bool = False) -> None:
        """Drop a client that is late to read a response or send a request; any that sends, if `stopping`."""
        now = self.loop.time()
        if self._blocked_since is not None and now - self._blocked_since > timeout_s:
            self.transport.abort()
        elif (since := self._reading_since) is None or not (stopping or now - since > timeout_s):
            return
        elif self._ended or self.transport.is_closing() or self._is_answering():
            self.transport.abort()
        elif stopping:
            self._end(503, "The server is shutting down.", "shutting_down")
        else:
            self._end(408, f"The request did not come within {timeout_s:g} s.")

    def _is_reading_body(self) -> bool:
        return self._is_busy() and not self.pipeline and self.cycle.more_body

    def _is_answering(self) -> bool:
        return self._is_busy() and self.cycle.response_started

    def standing(self, now: float) -> tuple[Standing, float] | None:
        """How soon it may be closed for another one, the lowest first; None while it must stay open."""
        if self._ended:
            return Standing.REFUSED, self._idle_since
        if self._behind_since is not None:
            late = now - self._behind_since > BEHIND_S
            return (Standing.BLOCKED if late else Standing.RECENT), self._behind_since
        if self._blocked_since is not None:
            if now - self._blocked_since > BLOCKED_S:
                return Standing.BLOCKED, self._blocked_since
            is_new = self._answered <= FEW_REQUESTS
            return (Standing.RECENT, self._blocked_since) if is_new else None
        if self._reading_since is None:
            return None if self._is_busy() else self._idle_standing(now)
        seconds = now - self._reading_since
        if not self._has_sent:
            recent = seconds < SILENT_S
            return (Standing.RECENT if recent else Standing.SILENT), self._reading_since
        if now > self._stalls_at:
            return Standing.STALLED, self._stalls_at
        recent = seconds < STALLED_S + MOST_AHEAD_S
        return (Standing.RECENT if recent else Standing.SENDING), self._stalls_at

    def _idle_standing(self, now: float) -> tuple[Standing, float] | None:
        is_recent = now - self._idle_since < SILENT_S
        if self._answered > FEW_REQUESTS:
            return None if is_recent else (Standing.KEPT, self._idle_since)
        return (Standing.RECENT if is_recent else Standing.TRIED), self._idle_since

    def drop(self) -> bool:
        """Close it at once, for another connection, unless its client has just sent something.

        Returns:
            Whether it is closed.
        """
        is_reading = not (self._ended or self._flow.read_paused or self.transport.is_closing())
        if is_reading and has_unread(self.transport.get_extra_info("socket")):
            return False
        self.transport.abort()
        return True

    def shutdown(self) -> None:
        """The server stops: answer the request that is here, or on its way, and close."""
        self._leaving, self._behind_since, self._held = True, None, b""
        if self._ended:
            self.transport.close()
        elif not self._is_busy():
            self.loop.call_later(LINGER_S, self._close_if_idle)
        else:
            self._close_after_response()

    def _close_after_response(self) -> None:
        last = self._running if self._leaving else self.cycle  # not every uvicorn adds the header
        if last is not None and last.keep_alive:
            last.keep_alive = False
            last.default_headers = [*last.default_headers, (b"connection", b"close")]

    def _close_if_idle(self) -> None:
        if not self._is_busy():
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP; after the responses to the requests before it, just close."""
        if self._is_busy() and not self._is_reading_body():
            self._broken = True
            self._close_after_response()
        else:
            self._end(400, msg)

    def _end(self, status: int, message: str, code: str | None = None) -> None:
        if self.transport.is_closing():
            return
        if self._is_busy():  # its response would come behind this one
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        body = error_body(status, Mistake(message, code=code))
        fields = (
            b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        )
        self.transport.write(STATUS_LINE[status] + fields % len(body) + body)
        self.transport.write_eof()
        self._ended = True
        self._reading_since = self.loop.time()
