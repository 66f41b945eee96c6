"""Workers that are Ray actors, in a cluster or in a Ray that is started on this machine.

Ray starts only on request: its processes listen on all interfaces of the machine. An actor receives a job and
then shards: references if it can read the data set's file, else the rows themselves. The driver keeps the
results and their order.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from graders_engine.blocking import Engine
from graders_engine.cluster.connection import Cluster, ClusterOptions
from graders_engine.dataset.rows.shards import Shard
from graders_engine.dataset.scoring.grading import Job, ShardResults, grader_of, score_shard
from graders_engine.errors import DataSetError

SHARDS_PER_ACTOR = 2
"""Shards that an actor has at once: the one being scored, and the next."""
STARTS_PER_ACTOR = 3
"""Failed starts, as a multiple of the number of actors, before they are reported as an error."""
START_TIMEOUT_S = 300.0
"""Seconds for the cluster to start the first actor; a cluster that scales by itself needs minutes."""

FileVersion = tuple[str, int, int]
"""Path, bytes, and time of the last change (ns): equal on two machines if it is the same file."""


class GraderWorker:
    """The actor: an engine and the compiled grader."""

    def __init__(self, job: Job) -> None:
        self._engine = Engine(**job.settings)
        self._compiled = grader_of(job, self._engine)
        self._shape = job.shape

    def can_read(self, file: FileVersion | None) -> bool:
        """Whether the driver's file is also on this machine."""
        return file is not None and file == version_of(Path(file[0]))

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
    """Actors with one processor core each; one that is lost is replaced, wherever the cluster has room.

    Args:
        job: what they do.
        path: the data set's file, to which shards may refer.
        options: the cluster, and what is taken of it.

    Raises:
        DataSetError: Ray is not installed, or the cluster cannot be reached.
    """

    def __init__(self, job: Job, path: Path, options: ClusterOptions) -> None:
        self._cluster = Cluster(options)
        self._ray, self._count = self._cluster.ray, self._cluster.actors
        self._class = self._cluster.actor_class(GraderWorker)
        self.room = SHARDS_PER_ACTOR * self._count
        self._job = self._ray.put(job)
        self._file = version_of(path)
        self._actors: list[_Actor] = []  # that have started
        self._starting: dict[Any, _Actor] = {}  # by the reference to their first reply
        self._in_flight: dict[Any, tuple[_Actor, Shard]] = {}
        self._waiting: deque[tuple[Shard, bool]] = deque()
        self._failed_starts = 0

    def __enter__(self) -> Self:
        for _ in range(self._count):
            self._start()
        return self

    def __exit__(self, *_: object) -> None:
        for actor in (*self._actors, *self._starting.values()):
            self._ray.kill(actor.handle)
        self._cluster.close()

    def submit(self, shard: Shard, *, alone: bool = False) -> None:
        """Have a shard scored; with `alone`, by an actor that has no other shard meanwhile."""
        self._waiting.append((shard, alone))
        self._assign()

    def next_done(self) -> tuple[Shard, ShardResults | None]:
        """Wait for any submitted shard."""
        while True:
            timeout_s = None if self._actors else START_TIMEOUT_S
            awaited = [*self._in_flight, *self._starting]
            done, _ = self._ray.wait(awaited, num_returns=1, timeout=timeout_s)
            if not done:
                raise DataSetError(
                    f"The Ray cluster started no worker in {START_TIMEOUT_S:.0f} s. Is a core free?"
                )
            reference = done[0]
            if reference in self._starting:
                self._on_started(reference)
            else:
                return self._receive(reference)

    def _start(self) -> None:
        actor = _Actor(self._class.remote(self._job))
        self._starting[actor.handle.can_read.remote(self._file)] = actor

    def _on_started(self, reference: Any) -> None:
        actor = self._starting.pop(reference)
        try:
            actor.reads_file = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._failed_starts += 1
            if self._failed_starts >= STARTS_PER_ACTOR * self._count:
                raise DataSetError(f"A Ray worker cannot be started: {error}") from None
            self._start()
            return
        self._failed_starts = 0
        self._actors.append(actor)
        self._assign()

    def _assign(self) -> None:
        """Assign waiting shards to actors, in order, as far as there is room."""
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
            results = self._ray.get(reference)
        except self._ray.exceptions.RayError:
            if actor in self._actors:  # otherwise it was replaced when its first shard was lost
                self._actors.remove(actor)
                self._ray.kill(actor.handle)
                self._start()
        self._assign()
        return shard, results
