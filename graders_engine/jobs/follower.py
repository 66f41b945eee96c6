"""The other processes of a job for which `accelerate launch` has started several: they train in silence."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from graders_engine.jobs.checkpoints import Checkpoints
from graders_engine.jobs.grader_models import models_for_grader
from graders_engine.jobs.states import WORKING
from graders_engine.models.local.source import LocalSource
from graders_engine.storage.jobs import StoredJob
from graders_engine.storage.store import Store
from graders_engine.training.trainer import (
    JobSpec,
    Plan,
    Resumed,
    Rollout,
    StepReport,
    Stopped,
    Trainer,
    Wanted,
)

RANK = "RANK"
"""The variable by which a launcher numbers the processes; the first one is 0, and is the job's worker."""
WAIT_S = 60.0
"""How long the worker may take to begin."""
_POLL_S = 0.05


class Follower:
    """A report that keeps nothing. What the worker says of `wanted`, a trainer has to pass on itself.

    Args:
        local: the models of this machine that the job's grader may ask.
    """

    wanted: Wanted = ""

    def __init__(self, local: LocalSource | None) -> None:
        self.local = local

    def plan(self, plan: Plan) -> None:
        """The worker says it."""

    def warn(self, message: str, data: dict[str, Any] | None = None) -> None:
        """The worker says it."""

    def rollouts(self, found: Sequence[Rollout]) -> None:
        """The worker keeps them."""

    def step(self, report: StepReport) -> None:
        """The worker keeps it."""

    def checkpoint(
        self, step: int, write: Callable[[Path], None], valid: dict[str, float], *, final: bool
    ) -> None:
        """The worker writes it."""


def follow(
    store: Store, job: StoredJob, folder: Path, read_spec: Callable[[], JobSpec], trainer: Trainer
) -> None:
    """Train beside a job's worker, once that has begun.

    Args:
        store: where the job is.
        job: the job.
        folder: of the job.
        read_spec: gives what the trainer is given.
        trainer: trains.

    Raises:
        TrainingFailed: the checkpoint, or what is given, cannot be read.
    """
    jobs = store.jobs
    until = time.monotonic() + WAIT_S
    while (state := jobs.state(job.id)) is not None and state.status == "queued":
        if time.monotonic() > until:
            return
        time.sleep(_POLL_S)
    if state is None or state.status not in WORKING:
        return
    newest = Checkpoints(jobs, job, folder).newest()
    if newest is not None and newest.final:
        return
    resumed = None if newest is None else Resumed(newest.step, folder / newest.folder)
    try:
        spec = read_spec()
        local = models_for_grader(store, job, spec.settings)
        trainer.train(spec, resumed, Follower(local))
    except Stopped:
        return
