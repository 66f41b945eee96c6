"""From settings to a process that listens, serves, and stops on a signal."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from collections.abc import Callable
from dataclasses import replace

import prometheus_client
import uvicorn

from graders_engine.engine import AsyncEngine
from graders_engine.errors import InvalidRequest
from graders_engine.sandbox.base import Sandbox
from graders_engine.sandbox.ondemand import OnDemand
from graders_engine.server.app import App
from graders_engine.server.guards import LOOPBACK_NAMES
from graders_engine.server.listener import is_loopback
from graders_engine.server.logs import Log, LogHandler
from graders_engine.server.settings import ServerSettings
from graders_engine.server.telemetry import CountingSandbox, ServerMetrics
from graders_engine.server.uvicorn_protocol import Connection, Server
from graders_engine.settings import EngineSettings

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment] # a module elsewhere

BACKLOG = 2048
"""Connections that the system queues until they are accepted; Linux caps it at net.core.somaxconn."""
KEEP_ALIVE_S = 65
"""How long an idle connection stays open: longer than the SDKs keep theirs open, so that they close first."""
OPEN_FILES = 65_536
"""Each connection is an open file; many systems allow 1,024 unless a process asks for more."""


def guarded(settings: ServerSettings, listener: socket.socket, *, no_auth: bool) -> ServerSettings:
    """The settings for this address: without a key, requests must come from this machine, to a loopback name.

    Raises:
        InvalidRequest: other machines can reach the address, and there is no key.
    """
    if settings.api_key is not None or no_auth:
        return settings
    if not is_loopback(listener):
        raise InvalidRequest(
            "Other machines can reach this address, and python graders run code: set a key with --api-key or "
            "GRADERS_API_KEY, or pass --no-auth."
        )
    return replace(settings, hosts=LOOPBACK_NAMES | {listener.getsockname()[0].lower()})


def serve(
    engine_settings: EngineSettings,
    settings: ServerSettings,
    listener: socket.socket,
    on_ready: Callable[[], None],
) -> None:
    """Serve until the process gets a signal to stop; requests accepted by then are still answered.

    Args:
        engine_settings: of the engine that grades.
        settings: how much the server takes on, and from whom.
        listener: where to listen.
        on_ready: called when requests are taken.
    """
    log = Log()
    handler = LogHandler(log, messages=settings.log_bodies)
    for name in ("graders_engine", "uvicorn.error", "asyncio"):
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).propagate = False
    _allow_many_files()
    # Otherwise each counter is shown with the time when it was made, which doubles the page.
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # it has no annotations
    metrics = ServerMetrics()
    engine = AsyncEngine.from_settings(
        replace(
            engine_settings,
            sandbox=CountingSandbox(_sandbox(engine_settings), metrics),
            observe=metrics.judged,
            on_retry=metrics.retried,
        )
    )
    app = App(engine, settings, metrics, log)
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
    # What is loaded now lives as long as the process: the garbage collector need not look at it again.
    gc.collect()
    gc.freeze()
    asyncio.run(Server(config, settings.read_timeout_s, on_ready).serve(sockets=[listener]))


def _sandbox(settings: EngineSettings) -> Sandbox:
    given = settings.sandbox
    return OnDemand(given, settings.limits) if isinstance(given, str) else given


def _allow_many_files() -> None:
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
