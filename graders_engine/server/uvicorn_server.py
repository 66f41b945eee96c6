"""uvicorn's server with a limit on connections, time-outs, and an end that answers what it has accepted."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Collection, Iterator
from typing import cast

import uvicorn

from graders_engine.server.acceptor import Acceptor, Standing
from graders_engine.server.turns import Turns
from graders_engine.server.uvicorn_protocol import Connection

SENDING_S = 5.0
"""How long after the signal a client may go on to send a request, and a check of rows may take."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Server(uvicorn.Server):
    """uvicorn's server with time-outs, and an end that answers every accepted request.

    Args:
        config: uvicorn's, with `Connection` for its HTTP protocol.
        read_timeout_s: longest time a client may take to send a request, or to continue reading a response.
        on_ready: called when requests are taken.
        max_connections: how many may be open at a time; at the limit, idle ones are closed for new ones.
        on_dropped: called with how many were closed for others.
        on_late: called `SENDING_S` after the signal, if requests are in progress then.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        read_timeout_s: float,
        on_ready: Callable[[], None],
        *,
        max_connections: int = 1000,
        on_dropped: Callable[[int], None] = lambda count: None,
        on_late: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(config)
        self._read_timeout_s, self._on_ready = read_timeout_s, on_ready
        self._max_connections, self._on_dropped = max_connections, on_dropped
        self._on_late = on_late
        self._acceptors: list[Acceptor] = []
        self._turns = Turns()

    @property
    def connections(self) -> Collection[Connection]:
        """The open ones."""
        return cast(Collection[Connection], self.server_state.connections)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to take requests."""
        await super().startup([])  # uvicorn would accept any number of connections
        for listener in sockets or ():
            acceptor = Acceptor(
                listener,
                self._max_connections,
                self._connection,
                lambda: self.connections,
                self._on_dropped,
            )
            acceptor.start()
            self._acceptors.append(acceptor)
        self._on_ready()

    def _connection(self) -> Connection:
        connection = Connection(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        connection.turns = self._turns
        return connection

    async def on_tick(self, counter: int) -> bool:
        """Look after the connections; called ten times a second."""
        if counter % 10 == 0:
            self._end_late_connections()
            for acceptor in self._acceptors:
                acceptor.report()
        return await super().on_tick(counter)

    def _end_late_connections(self, *, stopping: bool = False) -> None:
        for connection in list(self.connections):
            connection.end_if_late(self._read_timeout_s, stopping=stopping)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept the connections that wait in the system's queue, close the listener, answer all requests."""
        arrivals = [
            arrival
            for acceptor in self._acceptors
            for arrival in acceptor.stop(self._last_connection)
        ]
        watching = asyncio.get_running_loop().create_task(self._watch())
        await super().shutdown(sockets)
        watching.cancel()
        await asyncio.gather(watching, *arrivals, return_exceptions=True)

    def _last_connection(self) -> Connection:
        connection = self._connection()
        connection.shutdown()
        return connection

    async def _watch(self) -> None:
        clock = asyncio.get_running_loop().time
        late_at = clock() + SENDING_S
        while True:
            await asyncio.sleep(1)
            now = clock()
            for connection in list(self.connections):
                standing = connection.standing(now)
                if standing is not None and standing[0] < Standing.RECENT:
                    # Its request will hardly come, or its response not be read: the end need not wait.
                    connection.drop()
            self._end_late_connections(
                stopping=now >= late_at
            )  # its answers are read before it drops them
            if now >= late_at:
                self._on_late()

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
