"""Where a run's rows are graded: in this process, in workers of this machine, or in Ray actors."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

from graders_engine.blocking import Engine
from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.rows.read import DataSet
from graders_engine.dataset.rows.shapes import Shape
from graders_engine.dataset.scoring.grading import Job
from graders_engine.dataset.scoring.workers import LocalWorkers, Workers
from graders_engine.errors import InvalidRequest
from graders_engine.sandbox.base import available_cpus
from graders_engine.settings import keywords

Backend = Literal["local", "ray"]

SMALL_BYTES = 4 << 20
"""Up to this size of the data, worker processes are started only after a delay."""
WORKER_START_DELAY_S = 0.3
"""That delay: about as long as it takes to start them."""
_TEXT_SETTINGS = ("metric_variants", "max_text_chars", "templates")
"""The engine settings that graders which do not wait depend on."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Which workers to use.

    Attributes:
        backend: processes of this machine, or Ray actors.
        count: how many; None for one for each core.
        ray_address: of the Ray cluster, as for `ray.init`.

    Raises:
        InvalidRequest: the count is less than 1.
    """

    backend: Backend
    count: int | None
    ray_address: str | None

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise InvalidRequest(
                f"There must be at least 1 worker, but {self.count} are requested."
            )

    def grade_here(self, compiled: CompiledGrader) -> bool:
        """Whether this process alone grades: it waits for sandboxes and judges, and uses no core for it."""
        return self.backend == "local" and compiled.evaluator.waits

    def delay_s(self, size: int | None) -> float:
        """How long to grade in this process before workers are started, for data of this size."""
        if self.backend == "ray":
            return 0
        if (self.count or available_cpus()) == 1:
            return inf
        return WORKER_START_DELAY_S if size is not None and size <= SMALL_BYTES else 0

    def make_workers(
        self, engine: Engine, compiled: CompiledGrader, data_set: DataSet, shape: Shape
    ) -> Workers:
        """Workers for rows of a shape; they make engines with the settings of `engine`."""
        settings = keywords(engine.settings)
        if self.backend == "ray":
            from graders_engine.cluster.connection import ClusterOptions
            from graders_engine.dataset.scoring.ray_workers import RayWorkers

            for callback in ("observe", "on_retry"):  # they work in this process only
                del settings[callback]
            job = Job(compiled.given, settings, shape)
            cluster = ClusterOptions(self.ray_address, self.count)
            return RayWorkers(job, data_set.records.file, cluster)
        # Settings of graders that wait are not needed; some are objects that cannot be sent to a process.
        settings = {key: settings[key] for key in settings.keys() & _TEXT_SETTINGS}
        return LocalWorkers(Job(compiled.given, settings, shape), self.count or available_cpus())
