"""A server's store, opened for it alone, and the routes over it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graders_engine.engine import AsyncEngine
from graders_engine.errors import InvalidRequest
from graders_engine.evals.requests.item_check import end_checks
from graders_engine.evals.run.supervisor import Supervisor
from graders_engine.inference.judging import Projects
from graders_engine.models.local.source import LocalSource
from graders_engine.server.evals.context import Context
from graders_engine.server.evals.description import SCHEMAS as EVAL_SCHEMAS
from graders_engine.server.evals.live import count_runs, supervised
from graders_engine.server.evals.routes import eval_routes
from graders_engine.server.files.description import SCHEMAS as FILE_SCHEMAS
from graders_engine.server.files.routes import FileRoutes
from graders_engine.server.jobs.description import SCHEMAS as JOB_SCHEMAS
from graders_engine.server.jobs.live import config_of, jobs_of
from graders_engine.server.models.description import SCHEMAS as MODEL_SCHEMAS
from graders_engine.server.models.live import models_of
from graders_engine.server.routes import Route
from graders_engine.server.settings import ServerSettings
from graders_engine.server.store.served import ServedStore
from graders_engine.server.telemetry import ServerMetrics
from graders_engine.settings import EngineSettings
from graders_engine.storage.errors import StoreError, StoreFull
from graders_engine.storage.store import Store


@dataclass(frozen=True, slots=True)
class StoredRoutes:
    """What an application with a store has besides others.

    Attributes:
        store: the store.
        routes: over the store.
        schemas: that their descriptions name.
        during: what runs while the application lives.
        local: the models of this machine, as a project may use them.
        on_late: ends what requests wait for, when the server has stopped for a while.
    """

    store: Store
    routes: Sequence[Route] = ()
    schemas: Mapping[str, Any] = field(default_factory=dict)
    during: Sequence[AbstractAsyncContextManager[object]] = ()
    local: Callable[[str], LocalSource] | None = None
    on_late: Callable[[], None] = end_checks


@contextlib.contextmanager
def opened(
    folder: Path,
    settings: ServerSettings,
    metrics: ServerMetrics,
    engine: AsyncEngine,
    engine_settings: EngineSettings,
) -> Iterator[StoredRoutes]:
    """Open the store in a folder; while the block runs, no other server can have it.

    Args:
        folder: of the store.
        settings: how much the server takes on.
        metrics: counts.
        engine: says what can run here.
        engine_settings: of the engines that run evals and grade for jobs, in processes of their own.

    Raises:
        InvalidRequest: another server has it, or the folder cannot be used.
        StoreFull: its disk is full.
    """
    with contextlib.ExitStack() as stack:
        try:
            store = stack.enter_context(Store.for_server(folder))
            stack.enter_context(store.serve())
        except StoreFull:
            raise
        except StoreError as error:
            raise InvalidRequest(str(error)) from None
        projects = Projects(store, engine_settings.judge_settings())
        served = ServedStore(
            store, max_file_bytes=settings.max_file_bytes, max_bytes=settings.max_store_bytes
        )
        supervisor = Supervisor(store, engine_settings)
        count_runs(served, metrics)
        evals = eval_routes(Context(served, engine, supervisor.wake, projects.of))
        config = config_of(engine_settings)
        jobs, working = jobs_of(served, metrics, engine, engine_settings, projects.of)
        models, answering = models_of(served, metrics, config, settings)
        yield StoredRoutes(
            store,
            [*FileRoutes(served, metrics).routes(), *evals, *jobs, *models],
            {**FILE_SCHEMAS, **EVAL_SCHEMAS, **JOB_SCHEMAS, **MODEL_SCHEMAS},
            [
                served.living(),
                supervised(supervisor, "runs of evals"),
                *working,
                *answering,
            ],
            projects.of,
        )
