"""How this process joins a Ray cluster, or starts one on this machine."""

from __future__ import annotations

import logging
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any

from graders_engine.cluster.address import (
    AUTO,
    HOW_TO_NAME,
    Address,
    named_address,
    require_answer,
)
from graders_engine.cluster.bounded import within
from graders_engine.cluster.runtime_env import masked
from graders_engine.errors import InvalidRequest

if TYPE_CHECKING:
    from graders_engine.cluster.connection import ClusterOptions

JOIN_TIMEOUT_S = 12.0
"""Seconds to join a cluster whose head has answered."""
CLIENT_TIMEOUT_S = 75.0
"""The same by its port for clients, where it starts a process first, and waits 30 s for one that has died."""
INSTALL_TIMEOUT_S = 600.0
"""The same, if it must make a runtime environment for that process."""
STARTS = 5
"""How often the head may start a process for a client that dies at once, before that is reported."""
_DEATHS = {
    "Starting Ray client server failed": 1,
    "psutil.ZombieProcess": 1,
    "Proxy failed to Connect to backend": 3,  # after those 30 s
}
"""How the head reports such a death, and as how many starts it counts."""
_FROM_ELSEWHERE = (
    "is this machine one of its nodes? From any other machine, pass ray://HOST:PORT with the cluster's port "
    "for clients (10001)"
)
_COLOR = re.compile(r"\x1b\[[\d;]*m|\\x1b\[[\d;]*m")
_RAISED = re.compile(r"[\w.]+(?:Error|Exception): ")


def connect(ray: Any, options: ClusterOptions) -> None:
    """Connect this process to the cluster that the options name, or to one that is started here.

    Raises:
        InvalidRequest: it cannot be reached.
    """
    address = named_address(options.address)
    if address is not None:
        require_answer(address)
    try:
        if address is None and options.address is None and not _found_here(ray, options):
            with _signals_kept():
                _init(ray, options, "local")
        elif address is not None:
            _join(ray, options, address)
        elif options.address is not None and not _found_here(ray, options):
            raise InvalidRequest(f"No Ray cluster runs on this machine: {HOW_TO_NAME}.")
    except InvalidRequest:
        raise
    except Exception as error:  # noqa: BLE001 - Ray raises plain ones, too: for a node that starts slowly
        raise _unreachable(error, options) from None


def _found_here(ray: Any, options: ClusterOptions) -> bool:
    """Connect to a cluster that this machine belongs to, if there is one."""
    try:
        _join(ray, options, None)
    except ConnectionError:
        return False
    return True


def _join(ray: Any, options: ClusterOptions, address: Address | None) -> None:
    limit_s = JOIN_TIMEOUT_S
    if address is not None and address.is_client:
        limit_s = INSTALL_TIMEOUT_S if options.runtime_env else CLIENT_TIMEOUT_S
    text = AUTO if address is None else address.text
    try:
        within(limit_s, lambda: _init_again(ray, options, text), undo=ray.shutdown)
    except TimeoutError:
        hint = "" if address is None or address.is_client else f": {_FROM_ELSEWHERE}"
        raise InvalidRequest(
            f"The Ray cluster at {text} answers, but cannot be joined within {limit_s:g} s{hint}."
        ) from None


def _init_again(ray: Any, options: ClusterOptions, address: str) -> None:
    """As `_init`, again if the head's process for this client has died while it started, as some do."""
    left = STARTS
    while True:
        try:
            return _init(ray, options, address)
        except Exception as error:
            left -= next((count for text, count in _DEATHS.items() if text in str(error)), left)
            if left <= 0:
                raise


def _init(ray: Any, options: ClusterOptions, address: str) -> None:
    _leave_out_logs_of_nodes()
    if address.startswith("ray://"):
        _leave_at_once_what_cannot_be_joined()
    ray.init(
        address=address,
        runtime_env=options.runtime_env,
        log_to_driver=False,
        logging_level=logging.CRITICAL,
    )


def _leave_out_logs_of_nodes() -> None:
    """Keep Ray from printing 50 lines of a lost node's log on standard output, where results may be.

    It has no option against that. What is patched is private: where it is not found, they are printed.
    """
    worker: Any = import_module("ray._private.worker")
    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *_, **__: None


def _leave_at_once_what_cannot_be_joined() -> None:
    """Keep Ray from waiting half a minute where the head's process for this client has died.

    Before it reports that, it waits until the head ends their streams: as long as
    `RAY_CLIENT_RECONNECT_GRACE_PERIOD` says, as if the client might come back. It has no option against that.
    What is patched is private: where it is not found, it waits.
    """
    client: Any = import_module("ray.util.client.worker").Worker
    start = getattr(client, "_server_init", None)
    if start is None or hasattr(start, "__wrapped__"):
        return

    @wraps(start)
    def start_or_leave(worker: Any, *args: Any, **kwargs: Any) -> None:
        try:
            start(worker, *args, **kwargs)
        except Exception:
            worker._in_shutdown = True  # as Ray sets it next, so that nothing joins again
            worker.channel.close()
            raise

    client._server_init = start_or_leave


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep what this process does at SIGTERM: Ray has it exit with a code of its own."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def env_named(options: ClusterOptions) -> str:
    """The runtime environment, with the file that it is from."""
    file = f" of {options.runtime_env_file}" if options.runtime_env_file else ""
    return f"The runtime environment{file}"


def _unreachable(error: BaseException, options: ClusterOptions) -> InvalidRequest:
    about_env = (
        isinstance(error, (TypeError, ValueError)) or "runtime" in type(error).__name__.lower()
    )
    if options.runtime_env and (about_env or "runtime_env" in str(error)):
        return InvalidRequest(f"{env_named(options)} cannot be used: {on_one_line(error, options)}")
    return InvalidRequest(f"The Ray cluster cannot be reached: {on_one_line(error, options)}")


def on_one_line(error: BaseException, options: ClusterOptions) -> str:
    """The message of an error, without secrets: of a traceback, its last line."""
    lines = [line.strip() for line in _COLOR.sub("", str(error)).splitlines()]
    raised = [line for line in lines if _RAISED.match(line)]
    text = raised[-1] if raised else " ".join(filter(None, lines)) or type(error).__name__
    return masked(text, options.runtime_env)
