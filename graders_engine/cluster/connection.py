"""The connection to a Ray cluster, and the actors that are started there.

Ray's own retries are not used: with them, a row that kills its process would take the other rows of its shard
with it each time.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, TypeVar

from graders_engine.cluster.address import named_address
from graders_engine.cluster.bounded import within
from graders_engine.cluster.joining import connect, env_named, on_one_line
from graders_engine.cluster.nodes import HEAD, require_fit
from graders_engine.cluster.watch import OWN_NODE_GONE, Port, Watch, grace_s, port_at
from graders_engine.errors import ClusterLost, DataSetError, GradersError, InvalidRequest
from graders_engine.version import how_to_install

T = TypeVar("T")
CLOSE_TIMEOUT_S = 8.0
"""Seconds to disconnect: without a head, Ray tries for 5 s to tell it."""


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
        runtime_env_file: the file that it is from, for messages.

    Where the head goes away and does not answer again for 25 s (or for those that the variable
    RAY_CLIENT_RECONNECT_GRACE_PERIOD says), or the Ray processes of this machine end, a run ends with
    ClusterLost. The same command resumes it.

    Raises:
        InvalidRequest: there would be no actor, or a number is not above 0.
    """

    address: str | None = None
    actors: int | None = None
    cpus: float = 1
    resources: dict[str, float] = field(default_factory=dict)
    runtime_env: dict[str, Any] | None = field(default=None, repr=False)
    runtime_env_file: str = ""

    def __post_init__(self) -> None:
        if self.actors is not None and self.actors < 1:
            raise InvalidRequest(
                f"There must be at least 1 worker, but {self.actors} are requested."
            )
        for name, number in {"cores": self.cpus, **self.resources}.items():
            if not 0 < number < math.inf:
                raise InvalidRequest(f"A worker needs more than 0 of {name}, but it is {number:g}.")

    @property
    def name(self) -> str:
        """Which cluster it is, for sentences."""
        address = named_address(self.address)
        return f"the Ray cluster at {address.text}" if address else "this machine's Ray cluster"

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
        nodes: how many nodes have room for one; 0 where the cluster has yet to add them.
        watch: whether the cluster is still there.

    Raises:
        ClusterLost: the connection is lost meanwhile.
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
        self._calling = threading.Lock()
        self.watch = Watch(None, None, math.inf)
        self._connected = not ray.is_initialized()
        if self._connected:
            connect(ray, options)
        try:
            # By way of a client, the head handles every object that is sent.
            self._by_client = by_client = ray.util.client.ray.is_connected()
            self.watch = Watch(self._head(), None, grace_s(by_client=by_client))
            self.watch.start()
            nodes = self._nodes()
            self.watch.own_node = self._own_node(nodes)
            used = [
                node
                for node in nodes
                if options.fit_on(node) or (by_client and HEAD in node["Resources"])
            ]
            self.call(lambda: self._require_fit(used))
        except BaseException:
            self.close()
            raise
        rooms = [options.fit_on(node) for node in nodes]
        self.actors: int = options.actors or max(1, sum(rooms))
        self.nodes = sum(map(bool, rooms))

    def _head(self) -> Port | None:
        """Where the head is, or its port for clients; None if another one connected this process by that."""
        if not self._by_client:
            return port_at(self.ray.get_runtime_context().gcs_address)
        address = named_address(self.options.address)
        return Port(address.host, address.port) if address and address.is_client else None

    def _own_node(self, nodes: list[dict[str, Any]]) -> Port | None:
        """Where the process of Ray's is by which this one is connected; None for a client."""
        if self._by_client:
            return None
        own = self.ray.get_runtime_context().get_node_id()
        ports = (
            Port(node["NodeManagerAddress"], node["NodeManagerPort"])
            for node in nodes
            if node["NodeID"] == own
        )
        return next(ports, None)

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in self.call(self.ray.nodes) if node["Alive"]]

    def call(self, ask: Callable[[], T]) -> T:
        """What a call to Ray gives, which may wait for minutes for a head that is gone, and hear no signal.

        Raises:
            ClusterLost: the connection is lost before it ends.
            BaseException: what the call raises.
        """

        def one_at_a_time() -> T:
            with self._calling:
                return ask()

        try:
            return within(math.inf, one_at_a_time, is_over=lambda: bool(self.watch.lost))
        except TimeoutError:
            if not self.watch.lost:
                raise  # the call's own
            raise connection_lost(self.options, self.watch.lost) from None

    def get(self, reference: Any) -> Any:
        """What a reference refers to; see `call`.

        Ray ends this process where it cannot get it from the memory that the node's processes share.
        """
        if not self.watch.own_node_is_there():
            self.watch.lose(OWN_NODE_GONE)
            raise connection_lost(self.options, self.watch.lost)
        return self.call(lambda: self.ray.get(reference))

    def _require_fit(self, nodes: list[dict[str, Any]]) -> None:
        try:
            require_fit(self.ray, nodes, self._runtime_env())
        except self.ray.exceptions.RayError as error:
            raise InvalidRequest(
                f"{env_named(self.options)} cannot be made in the Ray cluster: {self.message(error)}"
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
        """Whether the connection is gone, for good, as an error may say; Ray must not be called any more."""
        if isinstance(error, self.ray.exceptions.RayTaskError):  # what the code of an actor raised
            return False
        if isinstance(error, OSError) and not self.watch.own_node_is_there():
            self.watch.lose(OWN_NODE_GONE)
        if self.watch.lost:
            return True
        is_gone = self._by_client and not self.ray.util.client.ray.is_connected()
        return is_gone or isinstance(error, ConnectionError)

    def briefly(self, tidy: Callable[[], object]) -> None:
        """Make calls that tidy up, if the cluster seems to answer, and wait for them for seconds at most.

        Where it is gone, Ray would wait for it for minutes, or start one here.
        """
        if not self.is_disconnected() and self.watch.is_there_now():
            with suppress(Exception):  # what is lost has ended
                within(CLOSE_TIMEOUT_S, tidy)

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
        return on_one_line(error, self.options)

    def why_waiting(self) -> str:
        """Why an actor may not have been started."""
        nodes = self._nodes()
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
        self.watch.stop()
        if self._connected:
            self._calling.acquire(
                timeout=1.0
            )  # a call that nobody waits for ends before, if it can
            with suppress(Exception):  # what is lost has ended
                within(CLOSE_TIMEOUT_S, self.ray.shutdown)


def connection_lost(options: ClusterOptions, reason: str) -> ClusterLost:
    """What to raise where the connection to the cluster is gone; the run can be gone on with."""
    return ClusterLost(f"The connection to {options.name} is lost: {reason.removesuffix('.')}.")
