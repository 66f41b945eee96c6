"""A job's numbers at Weights & Biases, or in a run beside the job that can be sent there later."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from graders_engine.models.local.source import LocalSource
from graders_engine.training.trainer import (
    JobSpec,
    Plan,
    Report,
    Rollout,
    StepReport,
    TrainingFailed,
    Wanted,
)
from graders_engine.version import how_to_install

_TAG = "graders-engine"


class WandbReport:
    """A report that also logs the steps to a run of wandb; a context, since the run must be finished.

    With WANDB_API_KEY the run is online. Without it, or where there is no connection, it is a folder in
    `wandb` of the current folder, which is a job's in its worker.

    Args:
        spec: of the job.
        report: to whom the trainer would tell otherwise.

    Raises:
        TrainingFailed: the package is not installed.
    """

    def __init__(self, spec: JobSpec, report: Report) -> None:
        try:
            import wandb
        except ImportError as error:
            raise TrainingFailed(
                "integration_not_available",
                f"wandb is not installed: {how_to_install('wandb')}.",
                "integrations",
            ) from error
        self._report, self._wandb = report, wandb
        # On the wire the settings stand under the integration's type.
        given = spec.wandb or {}
        self._settings: dict[str, Any] = given.get("wandb") or given
        self._spec = spec
        self._run: Any = None

    def __enter__(self) -> Self:
        online = bool(os.environ.get("WANDB_API_KEY"))
        try:
            self._run = self._begun("online" if online else "offline")
        except self._wandb.Error as error:
            if not online:
                raise
            self._report.warn(f"wandb cannot be reached, so the run is kept here: {error}.")
            self._run = self._begun("offline")
        if self._run.settings.mode == "offline":
            folder = Path(self._run.dir).parent
            self._report.warn(
                "The wandb run is kept beside the job, since there is no WANDB_API_KEY or no connection. To "
                f"upload it: wandb sync {folder}",
                {"folder": str(folder)},
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._run.finish(exit_code=0 if kind is None else 1)
        self._wandb.teardown()  # it ends when all is on the disk

    def _begun(self, mode: str) -> Any:
        # Also in the environment: before it reads its settings wandb would tell its makers of this run.
        os.environ["WANDB_MODE"] = mode
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        tags = [*(self._settings.get("tags") or []), _TAG, f"{_TAG}/{self._spec.id}"]
        return self._wandb.init(
            project=self._settings.get("project"),
            entity=self._settings.get("entity"),
            name=self._settings.get("name") or self._spec.id,
            tags=tags,
            id=self._spec.id,
            resume="allow",
            dir=os.getcwd(),
            mode=mode,
            config={
                "method": self._spec.method,
                "seed": self._spec.seed,
                "learning_rate": self._spec.learning_rate,
                **self._spec.hyperparameters,
            },
            settings=self._wandb.Settings(silent=True, console="off", x_disable_stats=True),
        )

    @property
    def wanted(self) -> Wanted:
        """As of `trainer.Report`, like all other methods."""
        return self._report.wanted

    @property
    def local(self) -> LocalSource | None:
        """As of `trainer.Report`."""
        return self._report.local

    def plan(self, plan: Plan) -> None:
        """As of `trainer.Report`."""
        self._report.plan(plan)

    def warn(self, message: str, data: dict[str, Any] | None = None) -> None:
        """As of `trainer.Report`."""
        self._report.warn(message, data)

    def rollouts(self, found: Sequence[Rollout]) -> None:
        """As of `trainer.Report`."""
        self._report.rollouts(found)

    def step(self, report: StepReport) -> None:
        """As of `trainer.Report`; the run has the numbers, too."""
        self._report.step(report)
        numbers = {
            f"{split}/{name}": number
            for split, found in (("train", report.train), ("valid", report.valid))
            for name, number in found.items()
        }
        self._run.log({**numbers, "trained_tokens": report.trained_tokens}, step=report.step)

    def checkpoint(
        self, step: int, write: Callable[[Path], None], valid: dict[str, float], *, final: bool
    ) -> None:
        """As of `trainer.Report`."""
        self._report.checkpoint(step, write, valid, final=final)
