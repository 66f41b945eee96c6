"""Beside a job's trainer: says that the worker lives, and ends it when the job is cancelled or deleted."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress

from graders_engine.errors import GradersError
from graders_engine.jobs.reporting import JobReport
from graders_engine.jobs.states import WORKING
from graders_engine.processes import end_own_group
from graders_engine.storage.store import Store

WATCH_S, BEAT_S = 0.2, 1.0
"""Seconds between two looks at what is wanted, and between two notes of its life."""
END_S = 2.0
"""How long a cancelled job's training may take to end; then the system ends it."""


class Watcher:
    """Beats while a job's trainer works, and stops it when the job is cancelled or deleted.

    Args:
        store: where the job is.
        report: of the job's trainer.
        own_group: whether all processes of this one's group are the job's.
    """

    def __init__(self, store: Store, report: JobReport, *, own_group: bool) -> None:
        self._store, self._report, self._own_group = store, report, own_group
        self._job_id = report.job_id
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        beat_at = 0.0
        while not self._done.wait(WATCH_S):
            with suppress(GradersError, OSError):  # a full disk: the trainer meets it, too
                state = self._store.jobs.state(self._job_id)
                if state is None or state.status not in WORKING:
                    self._stop()
                    return
                if time.monotonic() - beat_at >= BEAT_S:
                    beat_at = time.monotonic()
                    self._store.jobs.note(self._job_id, WORKING, heartbeat=time.time())

    def _stop(self) -> None:
        self._report.end("cancelled")
        if not self._done.wait(END_S):
            if self._own_group:
                end_group()
            os._exit(0)  # what the trainer waits for does not end

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()


def end_group() -> None:
    """End all that the training has started, and this process."""
    end_own_group()
