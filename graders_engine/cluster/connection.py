"""The connection to a Ray cluster, and the actors that are started there.

Ray's own retries are not used: with them, a row that kills its process would take the other rows of its shard
with it each time.
"""

from __future__ import annotations

import logging
import math
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from graders_engine.cluster.address import (
    AUTO,
    HOW_TO_NAME,
    Address,
    named_address,
    require_answer,
)
from graders_engine.cluster.bounded import within
from graders_engine.cluster.nodes import HEAD, require_fit
from graders_engine.cluster.runtime_env import masked
from graders_engine.errors import DataSetError, GradersError, InvalidRequest, RunStopped
from graders_engine.version import how_to_install

JOIN_TIMEOUT_S = 12.0
"""Seconds to join a cluster whose head has answered."""
CLIENT_TIMEOUT_S = 60.0
"""The same by its port for clients, where it starts a process first."""
INSTALL_TIMEOUT_S = 600.0
"""The same, if it must make a runtime environment for that process."""
STARTS = 3
"""How often the head may start a process for a client that dies at once, before that is reported."""
_FAILED_START = ("Starting Ray client server failed", "psutil.ZombieProcess")
_FROM_ELSEWHERE = (
    "is this machine one of its nodes? From any other machine, pass ray://HOST:PORT with the cluster's port "
    "for clients (10001)"
)
_COLOR = re.compile(r"\x1b\[[\d;]*m|\\x1b\[[\d;]*m")
_RAISED = re.compile(r"[\w.]+(?:Error|Exception): ")


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Which Ray cluster, and what is taken of it.

    Example::

        cluster = ClusterOptions("ray://head:10001", cpus=2, resources={"sandbox": 1})
        score_file(engine, grader, Path("rows.jsonl"), Path("results.jsonl"), cluster=cluster)

    Attributes:
        address: HOST:PORT, ray://HOST:PORT, or "auto" for the one of this machine; None to find one, or start
            one here.
        actors: how many; None for as many as the cluster has room for.
        cpus: cores of each actor.
        resources: further resources of each actor by their names, as the cluster calls them.
        runtime_env: what nodes install and set for the actors, as for `ray.init`; where Ray is connected
            already, without folders that it would have to upload.

    Where the head goes away, a run by ray://HOST:PORT ends with RunStopped after 30 s; with any other address
    Ray itself ends this process after 60 s. The same command resumes it in both cases.

    Raises:
        InvalidRequest: there would be no actor, or a number is not above 0.
    """

    address: str | None = None
    actors: int | None = None
    cpus: float = 1
    resources: dict[str, float] = field(default_factory=dict)
    runtime_env: dict[str, Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.actors is not None and self.actors < 1:
            raise InvalidRequest(
                f"There must be at least 1 worker, but {self.actors} are requested."
            )
        for name, number in {"cores": self.cpus, **self.resources}.items():
            if not 0 < number < math.inf:
                raise InvalidRequest(f"A worker needs more than 0 of {name}, but it is {number:g}.")

    def asked(self) -> dict[str, float]:
        """What each actor takes, as the cluster calls it."""
        return {"CPU": self.cpus, **self.resources}

    def fit_on(self, node: dict[str, Any]) -> int:
        """How many actors a node has room for, if it has nothing else to do."""
        has = node["Resources"]
        return min(int(has.get(name, 0) / number) for name, number in self.asked().items())


class Cluster:
    """A connection, which is closed with `close` if this object made it.

    Args:
        options: which cluster, and what is taken of it.

    Attributes:
        ray: the module, connected.
        options: as given.
        actors: how many to start.

    Raises:
        InvalidRequest: Ray is not installed; the cluster cannot be reached; or a node that would get an actor
            has not installed what this process has.
    """

    def __init__(self, options: ClusterOptions) -> None:
        try:
            self.ray = ray = import_module("ray")
        except ImportError:
            raise InvalidRequest(
                f"Ray is not installed: {how_to_install('ray')}, here and in the cluster."
            ) from None
        self.options = options
        self._by_client = False
        self._connected = not ray.is_initialized()
        if self._connected:
            _connect(ray, options)
        try:
            nodes = [node for node in ray.nodes() if node["Alive"]]
            # By way of a client, the head handles every object that is sent.
            self._by_client = by_client = ray.util.client.ray.is_connected()
            used = [
                node
                for node in nodes
                if options.fit_on(node) or (by_client and HEAD in node["Resources"])
            ]
            self._require_fit(used)
        except BaseException:
            self.close()
            raise
        self.actors: int = options.actors or max(1, sum(map(options.fit_on, nodes)))

    def _require_fit(self, nodes: list[dict[str, Any]]) -> None:
        try:
            require_fit(self.ray, nodes, self._runtime_env())
        except self.ray.exceptions.RayError as error:
            raise InvalidRequest(
                f"The runtime environment cannot be made in the Ray cluster: {self.message(error)}"
            ) from None

    def _runtime_env(self) -> dict[str, Any] | None:
        """What tasks and actors must name themselves; by default they have that of the connection."""
        return None if self._connected else self.options.runtime_env

    def actor_class(self, plain: type) -> Any:
        """A class whose `remote(...)` starts an actor, wherever the cluster has room."""
        options = self.options
        return self.ray.remote(
            num_cpus=options.cpus,
            resources=options.resources,
            runtime_env=self._runtime_env(),
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
        )(plain)

    def is_loss(self, error: BaseException) -> bool:
        """Whether an error says that an actor's process or node is gone, and not that its code raised.

        A process that is out of memory is lost, too, whether it could still say so or not.
        """
        known = self.ray.exceptions
        if isinstance(error, known.RayTaskError):
            return isinstance(error.cause, MemoryError) or self.is_loss(error.cause)
        losses = (
            known.RayActorError, known.WorkerCrashedError, known.NodeDiedError, known.ObjectLostError,
            known.LocalRayletDiedError, known.OutOfMemoryError,
        )  # fmt: skip
        return isinstance(error, losses)

    def is_disconnected(self, error: BaseException | None = None) -> bool:
        """Whether the connection is gone, for good, as an error may say; Ray must not be called any more.

        Ray tries to connect again for 30 s before.
        """
        if isinstance(error, self.ray.exceptions.RayTaskError):  # what the code of an actor raised
            return False
        is_gone = self._by_client and not self.ray.util.client.ray.is_connected()
        return is_gone or isinstance(error, ConnectionError)

    def raised(self, error: BaseException) -> BaseException:
        """For an error that is no loss, what to raise in its place: an exception of ours as it was raised.

        A mistake in our code stays Ray's error, which has the traceback of the actor.
        """
        known = self.ray.exceptions
        if isinstance(error, known.RayTaskError):
            return error.cause if isinstance(error.cause, GradersError) else error
        if isinstance(error, known.RayError):
            return DataSetError(f"The Ray cluster cannot go on: {self.message(error)}")
        return error

    def message(self, error: BaseException) -> str:
        """The message of an error, on one line and without secrets."""
        return _on_one_line(error, self.options)

    def why_waiting(self) -> str:
        """Why an actor may not have been started."""
        nodes = [node for node in self.ray.nodes() if node["Alive"]]
        asked = self.options.asked()
        amount = " and ".join(f"{number:g} {name}" for name, number in asked.items())
        if any(map(self.options.fit_on, nodes)):
            return f"no node has {amount} free for a worker, or its processes start slowly"
        most = {
            name: max((node["Resources"].get(name, 0) for node in nodes), default=0)
            for name in asked
        }
        has = ", ".join(f"{number:g} {name}" for name, number in most.items())
        return f"no node has {amount} for a worker (the most that one has: {has})"

    def close(self) -> None:
        """Disconnect, if this object connected, whatever the cluster does meanwhile."""
        if self._connected:
            with suppress(Exception):  # what is lost has ended
                self.ray.shutdown()


def connection_lost(reason: str) -> RunStopped:
    """What to raise where the connection to the cluster is gone; the run can be gone on with."""
    return RunStopped(f"The connection to the Ray cluster is lost: {reason.removesuffix('.')}.")


def _connect(ray: Any, options: ClusterOptions) -> None:
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
    except (ConnectionError, ImportError, RuntimeError, TypeError, ValueError) as error:
        raise _unreachable(error, options) from None
    except ray.exceptions.RayError as error:
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
    for tries_left in reversed(range(STARTS)):
        try:
            _init(ray, options, address)
        except Exception as error:
            is_start = any(text in str(error) for text in _FAILED_START)
            if not (is_start and tries_left):
                raise
        else:
            return


def _init(ray: Any, options: ClusterOptions, address: str) -> None:
    _leave_out_logs_of_nodes()
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


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep what this process does at SIGTERM: Ray has it exit with a code of its own."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _unreachable(error: BaseException, options: ClusterOptions) -> InvalidRequest:
    return InvalidRequest(f"The Ray cluster cannot be reached: {_on_one_line(error, options)}")


def _on_one_line(error: BaseException, options: ClusterOptions) -> str:
    """What is wrong: of a traceback, its last line."""
    lines = [line.strip() for line in _COLOR.sub("", str(error)).splitlines()]
    raised = [line for line in lines if _RAISED.match(line)]
    text = raised[-1] if raised else " ".join(filter(None, lines)) or type(error).__name__
    return masked(text, options.runtime_env)
