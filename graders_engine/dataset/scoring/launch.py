"""Where a run's rows are graded: in this process, in workers of this machine, or in Ray actors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Literal

from graders_engine.blocking import Engine
from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.rows.read import DataSet
from graders_engine.dataset.rows.shapes import Shape
from graders_engine.dataset.scoring.grading import Job
from graders_engine.dataset.scoring.workers import LocalWorkers, Workers
from graders_engine.errors import InvalidRequest
from graders_engine.sandbox.base import available_cpus
from graders_engine.settings import keywords

if TYPE_CHECKING:
    from graders_engine.cluster.connection import ClusterOptions

Backend = Literal["local", "ray"]

SMALL_BYTES = 4 << 20
"""Up to this size of the data, worker processes are started only after a delay."""
WORKER_START_DELAY_S = 0.3
"""That delay: about as long as it takes to start them."""
_TEXT_SETTINGS = ("metric_variants", "max_text_chars", "templates")
"""The engine settings that graders which do not wait depend on; no other ones are sent to workers."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Which workers to use.

    Attributes:
        count: how many; None for one for each core.
        cluster: the Ray cluster whose actors they are; None for processes of this machine.

    Raises:
        InvalidRequest: the count is less than 1.
    """

    count: int | None
    cluster: ClusterOptions | None

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise InvalidRequest(
                f"There must be at least 1 worker, but {self.count} are requested."
            )

    @property
    def backend(self) -> Backend:
        """Where they are."""
        return "local" if self.cluster is None else "ray"

    def grade_here(self, compiled: CompiledGrader) -> bool:
        """Whether this process alone grades: it waits for sandboxes and judges, and uses no core for it."""
        return compiled.evaluator.waits

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
        """Workers for rows of a shape and a grader that does not wait; they make engines of their own."""
        settings = keywords(engine.settings)
        settings = {key: settings[key] for key in settings.keys() & _TEXT_SETTINGS}
        job = Job(compiled.given, settings, shape)
        if self.cluster is not None:
            from graders_engine.dataset.scoring.ray_workers import RayWorkers

            return RayWorkers(job, data_set.records.path, self._cluster(self.cluster))
        return LocalWorkers(job, self.count or available_cpus())

    def _cluster(self, options: ClusterOptions) -> ClusterOptions:
        return options if self.count is None else replace(options, actors=self.count)
