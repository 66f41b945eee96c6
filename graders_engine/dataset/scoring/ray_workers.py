"""Workers that are Ray actors, in a cluster or in a Ray that is started on this machine.

Ray starts only on request: its processes listen on all interfaces of the machine. An actor receives a job and
then shards: references if it can read the data set's file, else the rows themselves. The driver keeps the
results and their order.
"""

from __future__ import annotations

import logging
import pickle
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from math import ceil, inf
from pathlib import Path
from time import monotonic
from typing import Any, Self

from graders_engine.blocking import Engine
from graders_engine.cluster.connection import Cluster, ClusterOptions, connection_lost
from graders_engine.cluster.nodes import Versions, require_same, versions_here
from graders_engine.dataset.rows.shards import Shard
from graders_engine.dataset.scoring.grading import Job, ShardResults, grader_of, score_shard
from graders_engine.errors import DataSetError, GradersError

SHARDS_PER_ACTOR = 2
"""Shards that an actor has at once: the one being scored, and the next."""
STARTS_PER_ACTOR = 3
"""Failed starts, as a multiple of the number of actors, before they are reported as an error."""
START_TIMEOUT_S = 300.0
"""Seconds for the cluster to start the first actor; a cluster that scales by itself needs minutes."""
TELL_AFTER_S = 10.0
"""Seconds of that after which the reason is logged."""

FileVersion = tuple[str, int, int]
"""Path, bytes, and time of the last change (ns): equal on two machines if it is the same file."""
_LOOK_UP_S = 0.5  # a wait in the cluster's library is no longer: nothing ends one that nobody needs
_log = logging.getLogger("graders_engine")


@dataclass(frozen=True, slots=True)
class Started:
    """What an actor tells first.

    Attributes:
        reads_file: whether the driver's file is also on its node.
        node: the address of that node.
        versions: what it has installed.
    """

    reads_file: bool
    node: str
    versions: Versions


class GraderWorker:
    """The actor: an engine and the compiled grader.

    Args:
        job: a pickled `Job`: the head of a cluster hands objects on that it cannot read.
    """

    def __init__(self, job: bytes) -> None:
        self._given = job

    def start(self, file: FileVersion | None) -> Started:
        """Make them; what is wrong with the job is raised here, where Ray tells the exception."""
        job: Job = pickle.loads(self._given)  # noqa: S301 - from the driver
        self._engine = Engine(**job.settings)
        self._compiled = grader_of(job, self._engine)
        self._shape = job.shape
        reads_file = file is not None and file == version_of(Path(file[0]))
        return Started(reads_file, import_module("ray").util.get_node_ip_address(), versions_here())

    def score(self, shard: Shard) -> ShardResults:
        """Score a shard."""
        return score_shard(self._engine, self._compiled, self._shape, shard)


def version_of(path: Path) -> FileVersion | None:
    """Tells a file from another one of the same name; None if it does not exist."""
    if not path.is_file():
        return None
    stat = path.stat()
    return str(path.absolute()), stat.st_size, stat.st_mtime_ns


@dataclass(slots=True, eq=False)
class _Actor:
    handle: Any
    reads_file: bool = False
    shards: int = 0
    alone: bool = False


class RayWorkers:
    """Actors, each with what the options say; one that is lost is replaced, wherever the cluster has room.

    One for each node is started first: it gets the process that has given its versions, and no other takes
    its cores while it starts. The others are started once one has, as far as there are shards for them.

    Args:
        job: what they do.
        path: the data set's file, to which shards may refer.
        options: the cluster, and what is taken of it.

    Raises:
        InvalidRequest: as from `Cluster`.

    Each method raises ClusterLost where the connection to the cluster is lost.
    """

    def __init__(self, job: Job, path: Path, options: ClusterOptions) -> None:
        self._cluster = Cluster(options)
        self._ray, self._count = self._cluster.ray, self._cluster.actors
        self._class = self._cluster.actor_class(GraderWorker)
        self.room = SHARDS_PER_ACTOR * self._count
        pickled = pickle.dumps(job)
        self._job = self._cluster.call(lambda: self._ray.put(pickled))
        self._file = version_of(path)
        self._actors: list[_Actor] = []  # that have started
        self._starting: dict[Any, _Actor] = {}  # by the reference to their first reply
        self._in_flight: dict[Any, tuple[_Actor, Shard]] = {}
        self._waiting: deque[tuple[Shard, bool]] = deque()
        self._failed_starts = 0

    def __enter__(self) -> Self:
        with self._losses_told():
            first = self._cluster.nodes or self._count
            for _ in range(min(first, self._count)):
                self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._cluster.briefly(self._kill_all)
        self._cluster.close()

    def _kill_all(self) -> None:
        for actor in (*self._actors, *self._starting.values()):
            with suppress(Exception):  # what is lost has ended
                self._ray.kill(actor.handle)

    @contextmanager
    def _losses_told(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not self._cluster.is_disconnected(error):
                raise
            reason = self._cluster.watch.lost or self._cluster.message(error)
            raise connection_lost(self._cluster.options, reason) from None

    def submit(self, shard: Shard, *, alone: bool = False) -> None:
        """Have a shard scored; with `alone`, by an actor that has no other shard meanwhile."""
        self._waiting.append((shard, alone))
        with self._losses_told():
            self._assign()

    def next_done(self) -> tuple[Shard, ShardResults | None]:
        """Wait for any submitted shard.

        Raises:
            DataSetError: no actor can be started, or the cluster cannot go on.
            InvalidRequest: a node that joined the cluster later has not installed what this process has.
            GradersError: what the grader or the data raise where they are graded.
        """
        with self._losses_told():
            while (reference := self._next_reply()) in self._starting:
                self._on_started(reference)
            return self._receive(reference)

    def _next_reply(self) -> Any:
        """Wait for any reply; without an actor, not for ever."""
        for limit_s in (inf,) if self._actors else (TELL_AFTER_S, START_TIMEOUT_S - TELL_AFTER_S):
            until = monotonic() + limit_s
            while (left_s := until - monotonic()) > 0:
                if done := self._first_done(min(left_s, _LOOK_UP_S)):
                    return done[0]
            if limit_s == TELL_AFTER_S:
                reason = self._cluster.why_waiting()
                _log.warning("waiting for the Ray cluster to start a worker: %s", reason)
        raise DataSetError(
            f"The Ray cluster started no worker in {START_TIMEOUT_S:.0f} s: {self._cluster.why_waiting()}."
        )

    def _first_done(self, timeout_s: float) -> list[Any]:
        awaited = [*self._in_flight, *self._starting]
        wait = partial(self._ray.wait, awaited, num_returns=1, timeout=timeout_s)
        return list(self._cluster.call(wait)[0])

    def _start(self) -> None:
        actor = _Actor(self._cluster.call(lambda: self._class.remote(self._job)))
        self._starting[actor.handle.start.remote(self._file)] = actor

    def _on_started(self, reference: Any) -> None:
        actor = self._starting.pop(reference)
        try:
            started: Started = self._cluster.get(reference)
        except self._ray.exceptions.RayError as error:
            self._on_failed_start(error)
            return
        require_same(started.node, started.versions)
        self._failed_starts = 0
        actor.reads_file = started.reads_file
        self._actors.append(actor)
        self._assign()

    def _on_failed_start(self, error: BaseException) -> None:
        """Start another one in its place, unless that is of no use."""
        self._failed_starts += 1
        if self._cluster.is_loss(error) and self._failed_starts < STARTS_PER_ACTOR * self._count:
            self._start()
            return
        raised = self._cluster.raised(error)
        known = isinstance(raised, GradersError)
        text = str(raised) if known else self._cluster.message(error)
        raise DataSetError(f"A Ray worker cannot be started: {text}") from (
            None if known else error
        )

    def _assign(self) -> None:
        """Assign waiting shards to actors, and start as many of those left as there are shards over for."""
        self._assign_where_there_is_room()
        if self._actors:
            wanted = ceil(len(self._waiting) / SHARDS_PER_ACTOR) - len(self._starting)
            left = self._count - len(self._actors) - len(self._starting)
            for _ in range(min(wanted, left)):
                self._start()

    def _assign_where_there_is_room(self) -> None:
        """In their order."""
        while self._waiting and self._actors:
            shard, alone = self._waiting[0]
            actor = min(self._actors, key=lambda one: (one.alone, one.shards))
            if actor.alone or actor.shards >= (1 if alone else SHARDS_PER_ACTOR):
                return
            self._waiting.popleft()
            actor.shards += 1
            actor.alone = alone
            sent = shard if actor.reads_file else shard.with_rows()
            self._in_flight[actor.handle.score.remote(sent)] = (actor, shard)

    def _receive(self, reference: Any) -> tuple[Shard, ShardResults | None]:
        actor, shard = self._in_flight.pop(reference)
        actor.shards -= 1
        actor.alone = False
        results: ShardResults | None = None
        try:
            results = self._cluster.get(reference)
        except self._ray.exceptions.RayError as error:
            if not self._cluster.is_loss(error):
                raise self._cluster.raised(error) from None
            if actor in self._actors:  # otherwise it was replaced when its first shard was lost
                self._actors.remove(actor)
                self._ray.kill(actor.handle)
                self._start()
        self._assign()
        return shard, results
