"""Where a run's rows are graded: in this process, in workers of this machine, or in Ray actors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Literal

from graders_engine.blocking import Engine
from graders_engine.compiled import CompiledGrader
from graders_engine.dataset.results.meta import THIS_MACHINE
from graders_engine.dataset.rows.read import DataSet
from graders_engine.dataset.rows.shapes import Shape
from graders_engine.dataset.scoring.grading import Job
from graders_engine.dataset.scoring.workers import LocalWorkers, Workers
from graders_engine.errors import InvalidRequest
from graders_engine.graders.base import GraderSpec
from graders_engine.sandbox.base import available_cpus
from graders_engine.settings import keywords

if TYPE_CHECKING:  # what needs Ray is imported where it is used
    from graders_engine.cluster.connection import ClusterOptions
    from graders_engine.cluster.sandbox import ClusterSandbox

Backend = Literal["local", "ray"]

SMALL_BYTES = 4 << 20
"""Up to this size of the data, worker processes are started only after a delay."""
WORKER_START_DELAY_S = 0.3
"""That delay: about as long as it takes to start them."""
_TEXT_SETTINGS = ("metric_variants", "max_text_chars", "templates")
"""The engine settings that graders which do not wait depend on; no other ones are sent to workers."""
ASKED_HERE = (
    "this grader runs no python, so that nothing is sent to the Ray cluster: this process alone asks what it "
    "asks, with the pace, the budget and the cache of any other run"
)
OWN_SANDBOX = (
    "python graders run in the sandbox that the engine was given, and not in the Ray cluster"
)


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

    def sandbox(self, engine: Engine, compiled: CompiledGrader) -> ClusterSandbox | None:
        """Where python graders run, not started yet; None for the engine's own sandbox."""
        settings = engine.settings
        if self.cluster is None or not compiled.spec.runs_python():
            return None
        if not isinstance(settings.sandbox, str):
            return None
        from graders_engine.cluster.sandbox import ClusterSandbox

        return ClusterSandbox(
            settings.sandbox, settings.limits, settings.python_isolation,
            options=self._cluster(self.cluster), tags=[*_images(compiled.spec)],
        )  # fmt: skip

    def notes(self, compiled: CompiledGrader, sandbox: ClusterSandbox | None) -> Iterator[str]:
        """What to say of where the rows are graded, if it is not what one may expect."""
        if self.cluster is not None and compiled.evaluator.waits and sandbox is None:
            yield OWN_SANDBOX if compiled.spec.runs_python() else ASKED_HERE

    def place(self, compiled: CompiledGrader, sandbox: ClusterSandbox | None) -> str:
        """Where rows are graded, for people; the same whether the cluster is connected or not."""
        is_here = self.cluster is None or (compiled.evaluator.waits and sandbox is None)
        return THIS_MACHINE if self.cluster is None or is_here else self.cluster.name

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
        job = job_of(engine, compiled, shape)
        if self.cluster is not None:
            from graders_engine.dataset.scoring.ray_workers import RayWorkers

            return RayWorkers(job, data_set.records.file, self._cluster(self.cluster))
        return LocalWorkers(job, self.count or available_cpus())

    def _cluster(self, options: ClusterOptions) -> ClusterOptions:
        return options if self.count is None else replace(options, actors=self.count)


def job_of(engine: Engine, compiled: CompiledGrader, shape: Shape) -> Job:
    """What workers get: nothing of judges, whose keys and addresses stay in this process."""
    settings = keywords(engine.settings)
    return Job(compiled.given, {key: settings[key] for key in _TEXT_SETTINGS}, shape)


@contextmanager
def started(sandbox: ClusterSandbox | None) -> Iterator[None]:
    """Start a sandbox, if there is one, and end it afterwards."""
    if sandbox is None:
        yield
        return
    try:
        sandbox.start()
        yield
    finally:
        sandbox.end()


def rows_in_flight(spec: GraderSpec, sandbox: ClusterSandbox | None, least: int) -> int | None:
    """Rows in flight that keep a cluster busy; None for those of the engine.

    Judges limit their requests by themselves. Nothing else limits those of endpoints and embeddings.
    """
    others = spec.metrics() & {"cosine"} or "endpoint" in _types(spec)
    return None if sandbox is None or others else sandbox.rows_in_flight(least)


def _leaves(spec: GraderSpec) -> Iterator[GraderSpec]:
    parts = spec.parts()
    if not parts:
        yield spec
    for part in parts.values():
        yield from _leaves(part)


def _types(spec: GraderSpec) -> set[str]:
    return {str(getattr(leaf, "type", "")) for leaf in _leaves(spec)}


def _images(spec: GraderSpec) -> set[str]:
    return {tag for leaf in _leaves(spec) if (tag := getattr(leaf, "image_tag", None))}
