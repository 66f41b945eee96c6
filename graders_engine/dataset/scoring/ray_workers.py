"""Workers that are Ray actors: of a cluster, or of a Ray that is started on this machine.

Only what is asked for starts Ray: its processes listen on all interfaces of the machine. An actor gets a
job and then references to shards where it sees the data set's file, else the rows with them. The driver
keeps the results, and their order; nothing of Ray's own retries is used, because a row that its worker
dies of would take its neighbours along each time.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from graders_engine.blocking import Engine
from graders_engine.dataset.scoring.grading import Job, Scored, score_shard
from graders_engine.dataset.scoring.shards import Shard
from graders_engine.dataset.scoring.workers import STARTS
from graders_engine.errors import DataSetError

IN_FLIGHT = 2
"""Shards that an actor has at once: one under way, and the next."""


START_S = 300.0
"""Seconds that the cluster has to start a first actor; one that grows by itself needs minutes."""

File = tuple[str, int, int]
"""Path, bytes, and time of the last change (ns): what two machines agree on if it is one file."""


class GraderWorker:
    """The actor: an engine of its own, and the compiled grader."""

    def __init__(self, job: Job) -> None:
        self._engine = Engine(**job.settings)
        self._compiled = self._engine.compile(job.grader)
        self._shape = job.shape

    def sees(self, file: File | None) -> bool:
        """Whether the driver's file is here, too."""
        return file is not None and file == file_of(Path(file[0]))

    def score(self, shard: Shard) -> Scored:
        """Score a shard."""
        return score_shard(self._engine, self._compiled, self._shape, shard)


def file_of(path: Path) -> File | None:
    """What tells a file from another one of its name; None where there is none."""
    if not path.is_file():
        return None
    stat = path.stat()
    return str(path.absolute()), stat.st_size, stat.st_mtime_ns


@dataclass(slots=True, eq=False)
class _Actor:
    handle: Any
    sees_file: bool = False
    shards: int = 0
    alone: bool = False


class RayWorkers:
    """Actors of one processor core each; one that is lost is replaced, wherever there is room.

    Args:
        job: what they do.
        path: the data set's file, if shards refer to it.
        count: how many; as many as the cluster has cores when left out.
        address: of the cluster, as for `ray.init`, which finds one, or starts one here, when left out.

    Raises:
        DataSetError: Ray is not installed, or there is no such cluster.
    """

    def __init__(self, job: Job, path: Path, count: int | None, address: str | None) -> None:
        try:
            ray = import_module("ray")
        except ImportError:
            raise DataSetError(
                "Ray is not installed: pip install 'graders-engine[ray]', here and in the cluster."
            ) from None
        self._ray, self._error = ray, ray.exceptions.RayError
        self._connected = not ray.is_initialized()
        if self._connected:
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise DataSetError(f"The Ray cluster cannot be reached: {error}") from None
        self._class = ray.remote(
            num_cpus=1, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD"
        )(GraderWorker)
        self._count = count or max(1, int(ray.cluster_resources().get("CPU", 1)))
        self.room = IN_FLIGHT * self._count
        self._job = ray.put(job)
        self._file = file_of(path)
        self._actors: list[_Actor] = []  # that have started
        self._starting: dict[Any, _Actor] = {}  # by the reference to their first answer
        self._under_way: dict[Any, tuple[_Actor, Shard]] = {}
        self._waiting: deque[tuple[Shard, bool]] = deque()
        self._failed_starts = 0

    def __enter__(self) -> Self:
        for _ in range(self._count):
            self._start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for actor in (*self._actors, *self._starting.values()):
            self._ray.kill(actor.handle)
        if self._connected:
            self._ray.shutdown()

    def submit(self, shard: Shard, *, alone: bool = False) -> None:
        """Have a shard scored; with `alone`, by an actor that has no other one meanwhile."""
        self._waiting.append((shard, alone))
        self._hand_out()

    def next_done(self) -> tuple[Shard, Scored | None]:
        """Wait for any shard that was submitted."""
        while True:
            patience = None if self._actors else START_S
            waited_for = [*self._under_way, *self._starting]
            done, _ = self._ray.wait(waited_for, num_returns=1, timeout=patience)
            if not done:
                raise DataSetError(
                    f"The Ray cluster has started no worker in {START_S:.0f} s. Is a core free?"
                )
            reference = done[0]
            if reference in self._starting:
                self._started(reference)
            else:
                return self._taken(reference)

    def _start(self) -> None:
        actor = _Actor(self._class.remote(self._job))
        self._starting[actor.handle.sees.remote(self._file)] = actor

    def _started(self, reference: Any) -> None:
        actor = self._starting.pop(reference)
        try:
            actor.sees_file = self._ray.get(reference)
        except self._error as error:
            self._failed_starts += 1
            if self._failed_starts >= STARTS * self._count:
                raise DataSetError(f"A Ray worker cannot be started: {error}") from None
            self._start()
            return
        self._failed_starts = 0
        self._actors.append(actor)
        self._hand_out()

    def _hand_out(self) -> None:
        """Give waiting shards to actors, in order, as far as there is room."""
        while self._waiting and self._actors:
            shard, alone = self._waiting[0]
            actor = min(self._actors, key=lambda one: (one.alone, one.shards))
            if actor.alone or actor.shards >= (1 if alone else IN_FLIGHT):
                return
            self._waiting.popleft()
            actor.shards += 1
            actor.alone = alone
            sent = shard if actor.sees_file else shard.carried()
            self._under_way[actor.handle.score.remote(sent)] = (actor, shard)

    def _taken(self, reference: Any) -> tuple[Shard, Scored | None]:
        actor, shard = self._under_way.pop(reference)
        actor.shards -= 1
        actor.alone = False
        scored: Scored | None = None
        try:
            scored = self._ray.get(reference)
        except self._error:
            if actor in self._actors:  # else it was replaced when its first shard was lost
                self._actors.remove(actor)
                self._ray.kill(actor.handle)
                self._start()
        self._hand_out()
        return shard, scored
