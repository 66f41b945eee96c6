"""What a server does beside requests: it looks after runs and jobs, and counts runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Protocol

from prometheus_client import Gauge

from graders_engine.errors import GradersError
from graders_engine.evals.wire import STATES
from graders_engine.server.store.served import ServedStore
from graders_engine.server.telemetry import ServerMetrics
from graders_engine.storage.errors import StoreError

AGAIN_S = 2.0
"""How long after a failure the runs are looked at again."""

_log = logging.getLogger("graders_engine")


class Watcher(Protocol):
    """Looks after something for ever."""

    async def watch(self) -> None:
        """Look after it until this is cancelled."""


@contextlib.asynccontextmanager
async def supervised(watcher: Watcher, what: str) -> AsyncIterator[None]:
    """While the block runs, what waits is started; what is in progress continues after it.

    Args:
        watcher: looks after runs or jobs.
        what: it looks after, for the log.
    """
    watching = asyncio.create_task(_watch(watcher, what))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _watch(watcher: Watcher, what: str) -> None:
    while True:
        try:
            await watcher.watch()
        except (GradersError, OSError) as error:  # a full disk, too many processes: it may pass
            _log.warning("%s could not be looked after: %s", what, error)
        await asyncio.sleep(AGAIN_S)


def count_runs(served: ServedStore, metrics: ServerMetrics) -> None:
    """Show in the metrics how many runs there are in each state."""
    text = "Runs of evals, of all projects, by their state."
    gauge = Gauge("graders_eval_runs", text, ("status",), registry=metrics.registry)
    for status in STATES:
        gauge.labels(status).set(0)

    async def refresh() -> None:
        with contextlib.suppress(StoreError):  # the last numbers stay: other metrics tell of it
            counts = await served.call(served.store.runs.counts)
            for status in STATES:
                gauge.labels(status).set(counts.get(status, 0))

    metrics.refreshed.append(refresh)
