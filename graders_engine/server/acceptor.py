"""Accepts connections up to a limit; at the limit, idle and slow ones are closed for new ones."""

from __future__ import annotations

import asyncio
import heapq
import logging
import select
import socket
import sys
from collections.abc import Callable, Collection
from enum import IntEnum
from typing import Protocol

from graders_engine.server.listener import accept_last

ACCEPTED_AT_ONCE = 32
"""Connections accepted before other work gets its turn."""
PAUSE_S = 0.005
"""How long to wait at the limit, until the connections that were closed are gone. It bounds, too, how many
are closed in a second when clients connect again at once."""
FULL_S = 0.1
"""How long to wait when no connection can be accepted; new clients wait in the system's queue."""
_SEARCH_SHARE = 0.1
"""How much of the time may go into the search for connections to close."""
_AT_LEAST, _SHARE = 4, 16
"""At the limit, this many connections are closed at a time, or one of so many, if that is more."""
_GOOD_SHARE = 4
"""One of so many of these, where all of them are of clients that have sent good requests."""
_UNSENT_BYTES = 64 << 10
"""How much of the responses on one connection the system takes before the client reads: by default megabytes,
so that a client that reads nothing would have many requests answered."""

_log = logging.getLogger("graders_engine")


class Standing(IntEnum):
    """Which connections are closed first: those of clients that never sent a good request, before others."""

    REFUSED = 0
    """It has its last response, and has not closed the connection."""
    SILENT = 1
    """It has sent nothing yet."""
    STALLED = 2
    """It has sent a part of a request, and hardly continues."""
    TRIED = 3
    """It is idle, and has had few requests answered."""
    BLOCKED = 4
    """It does not read the response, or more of its requests wait than are answered."""
    RECENT = 5
    """Not to be closed: it may soon be one of the above or a good one, which decides who is closed next."""
    KEPT = 6
    """It is idle between two requests."""
    SENDING = 7
    """It takes long to send a request."""


class Droppable(Protocol):
    """A connection that can be closed for others."""

    def standing(self, now: float) -> tuple[Standing, float] | None:
        """How soon it may be closed, the lowest first; None while it must stay open."""
        ...

    def drop(self) -> bool:
        """Close it at once, unless its client has just sent something; whether it is closed."""
        ...


def has_unread(connection: socket.socket) -> bool:
    """Whether something can be read from a socket, or the client is gone."""
    if sys.platform == "win32":
        return bool(select.select([connection], [], [], 0)[0])
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


class Acceptor:
    """Accepts the connections of one listener.

    Args:
        listener: where clients connect.
        max_connections: how many may be open at a time.
        make: makes the protocol of a new connection.
        opened: the open connections.
        on_dropped: called with how many were closed for others.
    """

    def __init__(
        self,
        listener: socket.socket,
        max_connections: int,
        make: Callable[[], asyncio.Protocol],
        opened: Callable[[], Collection[Droppable]],
        on_dropped: Callable[[int], None],
    ) -> None:
        self._listener, self._max = listener, max_connections
        self._make, self._opened, self._on_dropped = make, opened, on_dropped
        self._loop = asyncio.get_running_loop()
        self._arriving: set[asyncio.Task[object]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._dropped = self._failed = 0
        self._failure: OSError | None = None

    def start(self) -> None:
        """Accept from now on."""
        self._listener.setblocking(False)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # connections inherit it
            self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        self._resume()

    def stop(self, make_last: Callable[[], asyncio.Protocol]) -> Collection[asyncio.Task[object]]:
        """Accept the connections that wait in the system's queue, and no others.

        Args:
            make_last: makes their protocols.

        Returns:
            The connections that are on their way.
        """
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._listener)
        for connection in accept_last(self._listener):
            self._arrive(connection, make_last)
        return list(self._arriving)

    def report(self) -> None:
        """Log what happened since the last report; called once a second, so no crowd can fill the log."""
        if self._dropped:
            _log.warning(
                "the limit of %d open connections is reached: closed %d that were idle or slow, for new ones",
                self._max,
                self._dropped,
            )
        if self._failed:
            _log.warning(
                "connections could not be accepted (%s), %d tries", self._failure, self._failed
            )
        self._dropped = self._failed = 0

    def _resume(self) -> None:
        self._retry = None
        self._loop.add_reader(self._listener, self._accept)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._retry = self._loop.call_later(seconds, self._resume)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            if len(self._opened()) + len(self._arriving) >= self._max:
                started = self._loop.time()
                self._make_room()
                searched = self._loop.time() - started
                self._pause(max(PAUSE_S, searched / _SEARCH_SHARE))
                return
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no descriptors or no memory are left
                self._failed += 1
                self._failure = error
                self._make_room()
                self._pause(FULL_S)
                return
            self._arrive(connection, self._make)

    def _arrive(self, connection: socket.socket, make: Callable[[], asyncio.Protocol]) -> None:
        task: asyncio.Task[object] = self._loop.create_task(self._connect(connection, make))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _connect(
        self, connection: socket.socket, make: Callable[[], asyncio.Protocol]
    ) -> None:
        try:
            await self._loop.connect_accepted_socket(make, connection)
        except OSError:  # the client is gone already
            connection.close()

    def _make_room(self) -> None:
        """Close some of the connections that may be closed."""
        now = self._loop.time()
        candidates = [
            (standing, id(connection), connection)
            for connection in self._opened()
            if (standing := connection.standing(now)) is not None
        ]
        first = heapq.nsmallest(max(_AT_LEAST, self._max // _SHARE), candidates)
        chosen = [connection for (rank, _), _, connection in first if rank < Standing.RECENT]
        sending = sum(rank is Standing.SENDING for (rank, _), *_ in candidates)
        # A few slow clients do not fill the server: others will end sooner.
        last = Standing.SENDING if sending > len(self._opened()) / 2 else Standing.KEPT
        good = [entry[-1] for entry in first if Standing.RECENT < entry[0][0] <= last]
        # Where most are recent ones, it is not decided yet who is closed next.
        if not chosen and not self._arriving and len(good) > len(first) / 2:
            chosen = good[: max(_AT_LEAST, len(first) // _GOOD_SHARE)]
        dropped = sum(connection.drop() for connection in chosen)
        self._dropped += dropped
        self._on_dropped(dropped)
