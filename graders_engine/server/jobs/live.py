"""What a server does beside requests for jobs: it checks new ones, looks after workers, and counts jobs."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from prometheus_client import Gauge

from graders_engine.engine import AsyncEngine
from graders_engine.jobs.supervisor import Supervisor
from graders_engine.jobs.validation.new_jobs import NewJobs
from graders_engine.jobs.wire import STATES
from graders_engine.models.config import Config, read_config
from graders_engine.models.local.source import LocalSource
from graders_engine.server.evals.live import supervised
from graders_engine.server.jobs.context import Context
from graders_engine.server.jobs.routes import job_routes
from graders_engine.server.routes import Route
from graders_engine.server.store.served import ServedStore
from graders_engine.server.telemetry import ServerMetrics
from graders_engine.settings import EngineSettings
from graders_engine.storage.errors import StoreError

_log = logging.getLogger("graders_engine")
_Living = Sequence[AbstractAsyncContextManager[object]]


def jobs_of(
    served: ServedStore,
    metrics: ServerMetrics,
    engine: AsyncEngine,
    settings: EngineSettings,
    local: Callable[[str], LocalSource],
) -> tuple[list[Route], _Living]:
    """The routes of jobs, and what runs while the application lives.

    Args:
        served: files and jobs.
        metrics: counts.
        engine: says which graders can run here.
        settings: of the engines that grade, in processes of their own.
        local: the models of this machine, as a project may use them.

    Raises:
        InvalidRequest: graders.toml cannot be read.
    """
    path = settings.judge_settings().config
    config = config_of(settings)
    training, store = config.training, served.store
    _warn_of_paths(config)
    supervisor = Supervisor(
        store,
        settings,
        at_once=training.jobs,
        max_hours=training.max_hours,
        command=(training.python or sys.executable, "-P", "-m"),
    )
    new_jobs = NewJobs(store, "" if path is None else str(Path(path).absolute()), supervisor.wake)

    def wake() -> None:
        new_jobs.wake()
        supervisor.wake()

    _count_jobs(served, metrics)
    living = [supervised(supervisor, "jobs"), supervised(new_jobs, "new jobs")]
    return job_routes(Context(served, engine, config, wake, local)), living


def _warn_of_paths(config: Config) -> None:
    """Say which paths of graders.toml lead nowhere: jobs are refused until they do."""
    for name, base in config.base_models.items():
        if base.path and not Path(base.path).is_dir():
            _log.warning("graders.toml: [base_models] %s: there is no folder %s", name, base.path)
    for key, path in (
        ("python", config.training.python),
        ("accelerate", config.training.accelerate),
    ):
        if path and not Path(path).exists():
            _log.warning("graders.toml: [training] %s: there is no file %s", key, path)


def config_of(settings: EngineSettings) -> Config:
    """What graders.toml says.

    Raises:
        InvalidRequest: it cannot be read.
    """
    path = settings.judge_settings().config
    return Config() if path is None else read_config(Path(path))


def _count_jobs(served: ServedStore, metrics: ServerMetrics) -> None:
    """Show in the metrics how many jobs there are in each state."""
    text = "Fine-tuning jobs, of all projects, by their state."
    gauge = Gauge("graders_fine_tuning_jobs", text, ("status",), registry=metrics.registry)
    for status in STATES:
        gauge.labels(status).set(0)

    async def refresh() -> None:
        with contextlib.suppress(StoreError):  # the last numbers stay: other metrics tell of it
            counts = await served.call(served.store.jobs.counts)
            for status in STATES:
                gauge.labels(status).set(counts.get(status, 0))

    metrics.refreshed.append(refresh)
