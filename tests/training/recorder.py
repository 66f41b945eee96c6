"""A report that records, and keeps checkpoints as a worker does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from graders_engine.training.trainer import Plan, Resumed, Rollout, StepReport, Wanted


class Died(BaseException):
    """The worker dies here."""


class Recorder:
    """Records what a trainer tells.

    Args:
        folder: for checkpoints.
        pause_at: the step behind which the job is to pause.
        cancel_at: the step behind which it is to be cancelled.
        die_at: the step whose report kills the worker.
        resumed: the step of the checkpoint from which the job is resumed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        pause_at: int = 0,
        cancel_at: int = 0,
        die_at: int = 0,
        resumed: int = 0,
    ) -> None:
        self.folder = folder
        self.local = None
        self._resumed = resumed
        self._pause_at, self._cancel_at, self._die_at = pause_at, cancel_at, die_at
        self.plans: list[Plan] = []
        self.warnings: list[str] = []
        self.found: list[Rollout] = []
        self.steps: list[StepReport] = []
        self.kept: list[tuple[int, dict[str, float], bool]] = []

    @property
    def wanted(self) -> Wanted:
        step = self.steps[-1].step if self.steps else 0
        if step == self._pause_at:
            return "paused"
        return "cancelled" if step == self._cancel_at else ""

    def plan(self, plan: Plan) -> None:
        self.plans.append(plan)

    def warn(self, message: str, data: dict[str, Any] | None = None) -> None:
        self.warnings.append(message)

    def rollouts(self, found: Sequence[Rollout]) -> None:
        self.found.extend(found)

    def step(self, report: StepReport) -> None:
        if report.step == self._die_at:
            raise Died
        self.steps.append(report)

    def checkpoint(
        self, step: int, write: Callable[[Path], None], valid: dict[str, float], *, final: bool
    ) -> None:
        assert step == (self.steps[-1].step if self.steps else self._resumed)
        made = self.folder / f"tmp-step-{step}"
        made.mkdir(parents=True)
        write(made)
        made.rename(self.folder / f"step-{step}")
        self.kept.append((step, valid, final))

    def newest(self) -> Resumed:
        step, _, _ = self.kept[-1]
        return Resumed(step, self.folder / f"step-{step}")

    def weights(self) -> str:
        """The digest of the newest checkpoint's weights."""
        (path,) = (self.newest().folder / "model").glob("*.safetensors")
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def curve(self) -> list[Any]:
        return [(one.step, one.train, one.valid, one.trained_tokens) for one in self.steps]
