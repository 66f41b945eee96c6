"""The actors of a `ClusterSandbox`: started, found fit, replaced when they are lost, and ended."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from time import monotonic
from typing import Any

from graders_engine.cluster.calls import Actor
from graders_engine.cluster.connection import Cluster, ClusterOptions, connection_lost
from graders_engine.cluster.node_sandbox import NodeReport, NodeSandbox
from graders_engine.cluster.nodes import require_same
from graders_engine.errors import ClusterLost, DataSetError, InvalidRequest
from graders_engine.sandbox.base import Isolation, Limits
from graders_engine.sandbox.images import Image
from graders_engine.sandbox.inside.plan import AUTO

START_TIMEOUT_S = 300.0
"""Seconds for the cluster to start the first actor; a cluster that scales by itself needs minutes."""
TELL_AFTER_S = 10.0
"""Seconds of that after which the reason is logged."""
OTHERS_TIMEOUT_S = 30.0
"""Seconds for the other actors that there is room for; those that start later get work, too."""
STARTS_PER_ACTOR = 3
"""Failed starts, as a multiple of the number of actors, before no more are tried."""
CLOSE_S = 5.0
"""Seconds for actors to end their processes by themselves."""
_LOOK_UP_S = 0.5  # how often a thread that waits for actors looks whether it still should
_log = logging.getLogger("graders_engine")


class Actors:
    """As many as the options say. Ray is called here only, and not any more after `end`.

    Args:
        options: the cluster, and what is taken of it.
        tier, limits, isolation: of the actors' sandboxes.
        wanted: images that their nodes must have.

    Attributes:
        tier: as given; "auto" becomes that of the first actor, and then all must have it.
        ready: those that take calls.
        fault: why no more are started; empty as long as they are.
        lost: why the connection is gone; empty as long as it is there.
        is_closed: whether `end` was called.
        cores: of all of them; 0 before the start.
    """

    def __init__(
        self,
        options: ClusterOptions,
        tier: str,
        limits: Limits,
        isolation: Isolation,
        wanted: Sequence[Image],
    ) -> None:
        self.tier, self.fault, self.lost, self.cores = tier, "", "", 0
        self.ready: list[Actor] = []
        self.is_closed = False
        self._options, self._limits, self._isolation = options, limits, isolation
        self._wanted = list(wanted)
        self._cores_of_one = max(1, int(options.cpus))
        self._cluster: Cluster | None = None
        self._class: Any = None
        self._pending: dict[Any, Actor] = {}  # by the reference to their reports
        self._failed_starts = 0
        self._refused: set[str] = set()
        self._on_change: Callable[[], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ray_calls = threading.RLock()

    @property
    def are_coming(self) -> bool:
        """Whether any may become ready."""
        return bool(self._pending)

    def start(self) -> None:
        """Connect, start them, and wait for those that the cluster has room for.

        Raises:
            DataSetError: Ray is not installed, the cluster cannot be reached or starts no actor, or a node
                has another sandbox than the others, or not the images.
            ClusterLost: the connection is lost meanwhile.
        """
        self._cluster = cluster = Cluster(self._options)
        cluster.watch.on_loss(self._on_loss)
        with self._losses_noted():
            self._start_all(cluster)
        if self.lost:
            raise self.why_lost()

    def why_lost(self) -> ClusterLost:
        """What to raise where the connection is gone."""
        return connection_lost(self._options, self.lost)

    def _on_loss(self) -> None:
        """In the thread that watches the cluster."""
        cluster, loop, on_change = self._cluster, self._loop, self._on_change
        if cluster is not None and not self.lost:
            self.lost = cluster.watch.lost
        if loop is not None and on_change is not None:
            with suppress(RuntimeError):  # the loop was closed, and nobody waits
                loop.call_soon_threadsafe(on_change)

    def _start_all(self, cluster: Cluster) -> None:
        self._class = cluster.actor_class(NodeSandbox)
        self.cores = cluster.actors * self._cores_of_one
        expected = max(1, min(cluster.actors, self._room_now(cluster)))
        for _ in range(cluster.actors):
            self._start_one()
        began, has_warned = monotonic(), False
        while len(self.ready) < expected and self._is_callable:
            done = self._first_pending(cluster)
            if done:
                self._on_first_report(done[0], cluster)
            elif not self.ready and monotonic() - began > START_TIMEOUT_S:
                raise DataSetError(
                    f"The Ray cluster started no worker in {START_TIMEOUT_S:.0f} s: "
                    f"{cluster.why_waiting()}."
                )
            elif not (self.ready or has_warned) and monotonic() - began > TELL_AFTER_S:
                has_warned = True
                _log.warning(
                    "waiting for the Ray cluster to start a worker: %s", cluster.why_waiting()
                )
            elif self.ready and monotonic() - began > OTHERS_TIMEOUT_S:
                return

    def _first_pending(self, cluster: Cluster) -> list[Any]:
        waited = list(self._pending)
        return cluster.call(lambda: cluster.ray.wait(waited, num_returns=1, timeout=_LOOK_UP_S)[0])

    def _room_now(self, cluster: Cluster) -> int:
        """How many actors the cluster has room for, about."""
        free = cluster.call(cluster.ray.available_resources)
        asked = {"CPU": self._options.cpus, **self._options.resources}
        return min(int(free.get(name, 0) / amount) for name, amount in asked.items() if amount)

    def _on_first_report(self, reference: Any, cluster: Cluster) -> None:
        """Take up an actor, before the first row: whatever is wrong with its node is said then."""
        actor = self._pending.pop(reference)
        try:
            report: NodeReport = cluster.get(reference)
        except cluster.ray.exceptions.RayError as error:
            self._start_again(error)
            if self.fault:
                raise DataSetError(self.fault) from None
            return
        if fault := self.mismatch(report):
            raise DataSetError(f"{fault[:1].upper()}{fault[1:]}.")
        self._take_up(actor, report)

    def mismatch(self, report: NodeReport) -> str:
        """Why a node cannot grade as the others do; empty if it can."""
        if report.versions is not None:
            try:
                require_same(report.node, report.versions)
            except InvalidRequest as error:
                return str(error).removesuffix(".")
        if report.fault:
            named = "" if report.node in report.fault else f"the node {report.node}: "
            return f"{named}{report.fault}"
        if self.tier not in (AUTO, report.tier):
            others = ", ".join(dict.fromkeys(actor.node for actor in self.ready))
            return (
                f"the nodes of the cluster have different sandboxes: {report.tier} on {report.node}, and "
                f"{self.tier} on {others or 'others'}; choose one that all have (`--sandbox`)"
            )
        return ""

    def _take_up(self, actor: Actor, report: NodeReport) -> None:
        self.tier, actor.node = report.tier, report.node
        self._failed_starts = 0
        self.ready.append(actor)

    def _start_one(self) -> None:
        with self._ray_calls, self._losses_noted():
            cluster = self._cluster
            if not self._is_callable or cluster is None:
                return
            given = (self.tier, self._limits, self._isolation, self._cores_of_one)
            handle = cluster.call(lambda: self._class.remote(*given))
            reference = handle.report.remote(self._wanted)
            self._pending[reference] = Actor(handle, self._cores_of_one)
            if self._on_change is not None:
                when_done(reference, partial(self._on_report, reference))

    def _start_again(self, error: BaseException | str) -> None:
        """After a failed start: try again, a limited number of times, unless our own code raised."""
        self._failed_starts += 1
        cluster = self._cluster
        if cluster is None:
            return
        raised = isinstance(error, BaseException) and not cluster.is_loss(error)
        if not raised and self._failed_starts < STARTS_PER_ACTOR * cluster.actors:
            self._start_one()
            return
        text = error if isinstance(error, str) else cluster.message(error)
        self.fault = f"A Ray worker cannot be started: {text}"

    def watch(self, on_change: Callable[[], None]) -> None:
        """From now on take up in this event loop those that become ready later, and then call this."""
        self._on_change, self._loop = on_change, asyncio.get_running_loop()
        with self._losses_noted():
            for reference in self._pending:
                when_done(reference, partial(self._on_report, reference))

    def _on_report(self, reference: Any, reply: Future[NodeReport]) -> None:
        """Take up an actor that joins later; a node that does not fit is left out."""
        actor = self._pending.pop(reference, None)
        if actor is None or not self._is_callable:
            return
        fault: BaseException | str | None = reply.exception()
        if isinstance(fault, BaseException) and self.notes_loss(fault):
            pass
        elif fault is None and (fault := self.mismatch(reply.result())):
            if fault not in self._refused:
                self._refused.add(fault)
                _log.warning("a node of the cluster is not used: %s", fault)
            self._kill(actor)
        if self.lost:
            pass
        elif fault:
            self._start_again(fault)
        else:
            self._take_up(actor, reply.result())
        if self._on_change is not None:
            self._on_change()

    def send(
        self, actor: Actor, then: Callable[[Future[Any]], None], method: str, *arguments: Any
    ) -> Any:
        """Call a method of an actor, and this with its reply.

        Returns:
            the reference to the reply; None after `end`, or where the connection is lost.
        """
        with self._ray_calls, self._losses_noted():
            if self._is_callable:
                reference = getattr(actor.handle, method).remote(*arguments)
                when_done(reference, then)
                return reference
        return None

    def cancel(self, reference: Any) -> None:
        """End a call whose reply nobody waits for."""
        with self._ray_calls, self._losses_noted():
            cluster = self._cluster
            if self._is_callable and cluster is not None:
                cluster.briefly(partial(cluster.ray.cancel, reference))

    @property
    def _is_callable(self) -> bool:
        return not (self.is_closed or self.lost or self._cluster is None)

    def notes_loss(self, error: BaseException) -> bool:
        """Whether the connection is gone, as this error may say; then Ray is not called any more."""
        if not self.lost and self._cluster is not None and self._cluster.is_disconnected(error):
            self.lost = self._cluster.watch.lost or self._cluster.message(error)
        return bool(self.lost)

    @contextmanager
    def _losses_noted(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not self.notes_loss(error):
                raise

    def is_loss(self, error: BaseException) -> bool:
        """Whether an error says that an actor is gone, and not that its code raised."""
        return self._cluster is not None and self._cluster.is_loss(error)

    def replace(self, actor: Actor) -> None:
        """Start another actor in place of one that is lost, if that was not done before."""
        if actor in self.ready:
            self.ready.remove(actor)
            self._kill(actor)
            self._failed_starts, self.fault = 0, ""
            self._start_one()

    def _kill(self, actor: Actor) -> None:
        with self._ray_calls, self._losses_noted():
            if self._is_callable and self._cluster is not None:
                self._cluster.ray.kill(actor.handle)

    def end(self) -> None:
        """End all of them, and the connection; from any thread."""
        # What is being called is called before, unless it waits for a cluster that may be gone.
        is_free = self._ray_calls.acquire(timeout=CLOSE_S)
        self.is_closed = True
        cluster, self._cluster = self._cluster, None
        if is_free:
            self._ray_calls.release()
        if cluster is None:
            return
        if is_free and not self.lost:
            handles = [actor.handle for actor in (*self.ready, *self._pending.values())]
            ready = [actor.handle for actor in self.ready]
            cluster.briefly(partial(_end_actors, cluster.ray, ready, handles))
        cluster.close()


def _end_actors(ray: Any, ready: Sequence[Any], handles: Sequence[Any]) -> None:
    with suppress(Exception):  # they are killed below, and end their processes with them
        if closing := [handle.close.remote() for handle in ready]:
            ray.wait(closing, num_returns=len(closing), timeout=CLOSE_S)
    for handle in handles:
        with suppress(Exception):  # what is lost has ended
            ray.kill(handle)


def when_done(reference: Any, then: Callable[[Future[Any]], None]) -> None:
    """Call this in the running event loop with what a reference refers to."""
    loop = asyncio.get_running_loop()

    def pass_on(reply: Future[Any]) -> None:
        with suppress(RuntimeError):  # the loop was closed, and nobody waits
            loop.call_soon_threadsafe(then, reply)

    reference.future().add_done_callback(pass_on)
