"""From settings to a process that listens, and that ends when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import ipaddress
import logging
import resource
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace

import uvicorn

from graders_engine.engine import AsyncEngine
from graders_engine.errors import InvalidRequest
from graders_engine.sandbox.base import Sandbox
from graders_engine.sandbox.ondemand import OnDemand
from graders_engine.server.app import App
from graders_engine.server.connection import Connection
from graders_engine.server.guards import LOOPBACK_NAMES
from graders_engine.server.logs import Lines, Log
from graders_engine.server.settings import ServerSettings
from graders_engine.server.telemetry import Counted, ServerMetrics
from graders_engine.settings import EngineSettings

BACKLOG = 2048
"""Connections that the system holds until they are taken; Linux caps it at net.core.somaxconn."""
KEEP_ALIVE_S = 65
"""How long an idle connection stays open: longer than the SDKs keep theirs, so that they close first."""
OPEN_FILES = 65_536
"""A connection is an open file; many systems allow only 1,024 until more are asked for."""
_SO_ATTACH_FILTER = 26  # asm-generic/socket.h
_BPF_RETURN = 0x06  # BPF_RET | BPF_K of linux/bpf_common.h
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def listen(host: str, port: int) -> socket.socket:
    """Bind to an address.

    Args:
        host: an address, or a name of one.
        port: 0 for any that is free.

    Raises:
        InvalidRequest: it cannot be had.
    """
    try:
        family, type_, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # asyncio sends without delay (TCP_NODELAY) only where the protocol is named.
        listener = socket.socket(family, type_, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        return listener
    except (OSError, UnicodeError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidRequest(
            f"Cannot listen on {host} port {port}: {reason}. Choose others with --host and --port."
        ) from None


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def url(listener: socket.socket) -> str:
    """Its address, as clients write it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def guarded(settings: ServerSettings, listener: socket.socket, *, no_auth: bool) -> ServerSettings:
    """The settings for this address: without a key, only this machine may call, by its own names.

    Raises:
        InvalidRequest: others can reach it, and there is no key.
    """
    if settings.api_key is not None or no_auth:
        return settings
    if not is_loopback(listener):
        raise InvalidRequest(
            "Others can reach this address, and python graders run code: set a key with --api-key or "
            "GRADERS_API_KEY, or say --no-auth."
        )
    return replace(settings, hosts=LOOPBACK_NAMES | {listener.getsockname()[0].lower()})


def serve(
    engine_settings: EngineSettings,
    settings: ServerSettings,
    listener: socket.socket,
    on_ready: Callable[[], None],
) -> None:
    """Serve until the process is told to stop; what was accepted then is still answered.

    Args:
        engine_settings: of the engine behind it.
        settings: how much is taken on, and from whom.
        listener: where.
        on_ready: called when requests are taken.
    """
    log = Log()
    lines = Lines(log, messages=settings.log_bodies)
    for name in ("graders_engine", "uvicorn.error", "asyncio"):
        logging.getLogger(name).addHandler(lines)
        logging.getLogger(name).propagate = False
    _allow_many_files()
    sandbox = Counted(_sandbox(engine_settings))
    figures = ServerMetrics(sandbox)
    engine = AsyncEngine.from_settings(
        replace(engine_settings, sandbox=sandbox, observe=figures.judged)
    )
    app = App(engine, settings, figures, log)
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(settings.deadline_s + settings.read_timeout_s),
    )
    asyncio.run(_Server(config, settings, on_ready).serve(sockets=[listener]))


def _sandbox(settings: EngineSettings) -> Sandbox:
    given = settings.sandbox
    return OnDemand(given, settings.limits) if isinstance(given, str) else given


class _Server(uvicorn.Server):
    """uvicorn's server with timeouts, and an end that leaves no accepted request without an answer."""

    def __init__(
        self, config: uvicorn.Config, settings: ServerSettings, on_ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._read_timeout_s, self._on_ready = settings.read_timeout_s, on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests, and say so."""
        await super().startup(sockets)
        self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        """Look after the connections; called ten times a second."""
        if counter % 10 == 0:
            self._end_late_ones()
        return await super().on_tick(counter)

    def _end_late_ones(self) -> None:
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection):
                connection.end_if_late(self._read_timeout_s)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take the connections that wait at the door, close it, and answer all that is inside."""
        loop = asyncio.get_running_loop()
        last = [connection for listener in sockets or () for connection in _waiting(listener)]
        arrivals = [
            loop.create_task(loop.connect_accepted_socket(self._leaving, connection))
            for connection in last
        ]
        looking = loop.create_task(self._look())
        await super().shutdown(sockets)  # closes the listener before it first waits
        looking.cancel()
        await asyncio.gather(looking, *arrivals, return_exceptions=True)

    def _leaving(self) -> Connection:
        connection = Connection(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        connection.shutdown()
        return connection

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._end_late_ones()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM or SIGINT, which uvicorn would raise again at the end: here the exit code is 0."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)


def _waiting(listener: socket.socket) -> Iterator[socket.socket]:
    """The connections that the system has taken and this process has not; the system takes no more."""
    _let_nobody_in(listener)
    listener.setblocking(False)
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # none is left
            return
        connection.setblocking(False)
        yield connection


def _let_nobody_in(listener: socket.socket) -> None:
    # A socket filter (socket(7), SO_ATTACH_FILTER) of one instruction, "keep 0 bytes": what comes is dropped,
    # and the client tries again. Without it a connection may be taken between the last accept and the close,
    # and reset. Where there are no such filters that may happen.
    instruction = ctypes.create_string_buffer(struct.pack("HBBI", _BPF_RETURN, 0, 0, 0))
    program = struct.pack("HP", 1, ctypes.addressof(instruction))
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def _allow_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
