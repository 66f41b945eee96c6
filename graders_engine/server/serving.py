"""From settings to a process that listens, serves, and stops on a signal."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import prometheus_client
import uvicorn

from graders_engine.engine import AsyncEngine
from graders_engine.errors import InvalidRequest
from graders_engine.sandbox.base import available_cpus
from graders_engine.server.app import App
from graders_engine.server.guards import LOOPBACK_NAMES
from graders_engine.server.listener import is_loopback
from graders_engine.server.logs import Log, LogHandler
from graders_engine.server.routes import UNKNOWN, UNKNOWN_WITHOUT_STORE, Site
from graders_engine.server.settings import STORE_THREADS, ServerSettings
from graders_engine.server.telemetry import CountingSandbox, ServerMetrics
from graders_engine.server.uvicorn_protocol import Connection
from graders_engine.server.uvicorn_server import Server
from graders_engine.settings import EngineSettings, sandbox_of

if TYPE_CHECKING:
    from graders_engine.server.store.opened import StoredRoutes
    from graders_engine.storage.store import Store

if sys.platform != "win32":
    import resource

KEEP_ALIVE_S = 65
"""How long an idle connection stays open: longer than the SDKs keep theirs open, so that they close first."""
OPEN_FILES = 65_536
"""Each connection is an open file; many systems allow 1,024 unless a process asks for more."""
WORKER_FILES = 16
"""Open files of the sandbox for each processor: workers that run, and one that starts."""
OTHER_FILES = 16
"""Open files of a request in progress: cgroups, caches, look-ups of names."""
SELECTED_FILES = 512
"""Windows' event loop can watch so many sockets."""
OTHER_THREADS = 4
"""Threads besides those that grade: the watchdog of the sandbox, caches, large graders, the end."""
LEAST_CONNECTIONS = 8
"""With fewer, there is no use in serving."""


def guarded(settings: ServerSettings, listener: socket.socket, *, no_auth: bool) -> ServerSettings:
    """The settings for this address: without a key, requests must come from this machine, to a loopback name.

    Where only this machine can ask, with one key or none, all that is asked comes from the administrator,
    unless that one has a key.

    Raises:
        InvalidRequest: other machines can reach the address, and there is no key.
    """
    is_local = is_loopback(listener)
    alone = is_local and settings.admin_key is None and not settings.projects
    settings = replace(settings, is_admins=alone)
    if settings.api_key is not None or settings.projects or no_auth:
        return settings
    if not is_local:
        raise InvalidRequest(
            "Other machines can reach this address, and python graders run code: set a key with --api-key or "
            "GRADERS_API_KEY, or pass --no-auth."
        )
    return replace(settings, hosts=LOOPBACK_NAMES | {listener.getsockname()[0].lower()})


def load_types() -> None:
    """Import all types of graders, and what asks judges: no request waits for it, and none beside it."""
    from graders_engine.graders.parse import adapter
    from graders_engine.models import stack as _  # noqa: F401 - to be imported

    adapter()


def serve(
    engine_settings: EngineSettings,
    settings: ServerSettings,
    listener: socket.socket,
    on_ready: Callable[[], None],
    grader: Any = None,
    *,
    site: Callable[[Store | None], Site | None] | None = None,
    grades: bool = True,
    log: Log | None = None,
) -> None:
    """Serve until the process gets a signal to stop; requests accepted by then are still answered.

    Args:
        engine_settings: of the engine that grades.
        settings: how much the server takes on, and from whom.
        listener: where to listen.
        on_ready: called when requests are taken.
        grader: the grader of the reward route; None for a server without one.
        site: makes the pages for people, from the store if there is one; None for a server without.
        grades: whether the graders' routes are served, too.
        log: where requests are logged; by default, on standard error.

    Raises:
        InvalidGrader: the grader has mistakes.
        UnavailableGrader: the engine cannot run it.
    """
    if grades:
        load_types()
    log = log or Log()
    handler = LogHandler(log, messages=settings.log_bodies)
    for name in ("graders_engine", "uvicorn.error", "asyncio"):
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).propagate = False
    _try_threads(available_cpus() + OTHER_THREADS + (0 if settings.jobs is None else STORE_THREADS))
    max_connections = connection_limit(_allow_many_files(), engine_settings.concurrency)
    # Otherwise each counter is shown with the time when it was made, which doubles the page.
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # it has no annotations
    metrics = ServerMetrics()
    engine = AsyncEngine.from_settings(
        replace(
            engine_settings,
            sandbox=CountingSandbox(sandbox_of(engine_settings), metrics),
            observe=metrics.judged,
            on_retry=metrics.retried,
        )
    )
    with _stored(settings, metrics, engine, engine_settings) as stored:
        app = App(
            engine,
            settings,
            metrics,
            log,
            grader=grader,
            routes=stored.routes if stored else (),
            schemas=stored.schemas if stored else {},
            during=stored.during if stored else (),
            unknown=UNKNOWN if stored or not grades else UNKNOWN_WITHOUT_STORE,
            site=site(stored.store if stored else None) if site else None,
            grades=grades,
            local=stored.local if stored else None,
        )
        on_late = stored.on_late if stored else lambda: None
        _run(app, settings, metrics, listener, on_ready, max_connections, on_late)


def _stored(
    settings: ServerSettings,
    metrics: ServerMetrics,
    engine: AsyncEngine,
    engine_settings: EngineSettings,
) -> AbstractContextManager[StoredRoutes | None]:
    if settings.jobs is None:
        return contextlib.nullcontext()
    from graders_engine.server.store.opened import (
        opened,
    )  # takes packages that others need not have

    return opened(settings.jobs, settings, metrics, engine, engine_settings)


def _run(
    app: App,
    settings: ServerSettings,
    metrics: ServerMetrics,
    listener: socket.socket,
    on_ready: Callable[[], None],
    max_connections: int,
    on_late: Callable[[], None],
) -> None:
    """Run an application until the process gets a signal."""
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(settings.deadline_s + settings.read_timeout_s),
    )
    # What is loaded now lives as long as the process: the garbage collector need not look at it again.
    gc.collect()
    gc.freeze()
    server = Server(
        config,
        settings.read_timeout_s,
        on_ready,
        max_connections=max_connections,
        on_dropped=metrics.connections_dropped.inc,
        on_late=on_late,
    )
    metrics.add_gauge(
        "graders_connections_open", "Open connections.", lambda: len(server.connections)
    )
    # Not the loop of Windows: that one cannot watch a listener.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(server.serve(sockets=[listener]))


def connection_limit(open_files: int, concurrency: int) -> int:
    """How many connections may be open, so that files are left for all else that opens some.

    Args:
        open_files: how many the process may have.
        concurrency: requests to judges in progress.

    Raises:
        InvalidRequest: there are too few.
    """
    used = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 16
    wanted = WORKER_FILES * available_cpus() + concurrency + OTHER_FILES
    free = open_files - used
    connections = max(free - wanted, free // 2)
    if connections < LEAST_CONNECTIONS:
        raise InvalidRequest(
            f"A process may have {open_files} open files here (`ulimit -n`), which is too few to serve: "
            f"allow at least {used + 2 * LEAST_CONNECTIONS}, better 1024."
        )
    return connections


def _try_threads(count: int) -> None:
    """Start as many threads as the server may need: where that fails, say so now, and not in each request.

    Raises:
        InvalidRequest: so many cannot be started.
    """
    done = threading.Event()
    started = [threading.Thread(target=done.wait) for _ in range(count)]
    try:
        for thread in started:
            thread.start()
    except RuntimeError:
        raise InvalidRequest(
            f"Cannot start {count} threads, which the server needs: this user has too many processes and "
            "threads (`ulimit -u`), or the process has too little address space (`ulimit -v`)."
        ) from None
    finally:
        done.set()
        for thread in started:
            if thread.ident is not None:
                thread.join()


def _allow_many_files() -> int:
    """Raise the limit on open files as far as that is allowed and useful; the limit from now on."""
    if sys.platform == "win32":
        return SELECTED_FILES
    else:  # noqa: RET505 - else the type checker looks for `resource` on Windows, too
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
        return OPEN_FILES if soft == resource.RLIM_INFINITY else soft
