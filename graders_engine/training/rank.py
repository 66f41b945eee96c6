"""One of the processes of a job, started by `accelerate launch`: trains, and tells the job's worker."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

from graders_engine.training.trainer import (
    Plan,
    Rollout,
    StepReport,
    TrainingFailed,
    TrainingPaused,
    Wanted,
)


class RankReport:
    """A report that asks the job's worker; of all processes but the first it takes only what all have to do.

    Args:
        worker: the connection.
        first: whether this is the first process.
    """

    def __init__(self, worker: Connection[Any, Any], *, first: bool) -> None:
        self._worker, self._first = worker, first

    @property
    def wanted(self) -> Wanted:
        """As of `trainer.Report`, like all other methods; the same for all processes."""
        self._worker.send(("wanted", ()))
        found: Wanted = self._worker.recv()
        return found

    def _call(self, name: str, *arguments: Any) -> None:
        if self._first:
            self._worker.send((name, arguments))
            self._worker.recv()

    def plan(self, plan: Plan) -> None:
        """As of `trainer.Report`."""
        self._call("plan", plan)

    def warn(self, message: str, data: dict[str, Any] | None = None) -> None:
        """As of `trainer.Report`."""
        self._call("warn", message, data)

    def rollouts(self, found: Sequence[Rollout]) -> None:
        """As of `trainer.Report`."""
        self._call("rollouts", list(found))

    def step(self, report: StepReport) -> None:
        """As of `trainer.Report`."""
        self._call("step", report)

    def checkpoint(
        self, step: int, write: Callable[[Path], None], valid: dict[str, float], *, final: bool
    ) -> None:
        """As of `trainer.Report`; all processes write."""
        self._worker.send(("checkpoint", (step, valid, final)))
        folder = self._worker.recv()
        try:
            write(folder)
        except OSError as error:
            self._worker.send(error)
        else:
            self._worker.send(None)
        self._worker.recv()


def main(address: str) -> None:
    """Train with the other processes."""
    from accelerate import PartialState

    from graders_engine.training.trl_trainer import train_here

    state = PartialState()
    with Client(address, "AF_UNIX") as worker:
        worker.send((state.process_index, state.num_processes))
        spec, resumed = worker.recv()
        ending: tuple[str, tuple[Any, ...]] = ("done", ())
        try:
            train_here(spec, resumed, RankReport(worker, first=state.is_main_process))
        except TrainingFailed as error:
            ending = ("failed", (error.code, error.message, error.param))
        except TrainingPaused as error:
            ending = ("paused", (error.reason,))
        worker.send(ending)
    state.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
