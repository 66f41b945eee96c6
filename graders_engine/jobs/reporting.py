"""What a trainer tells its job: each step on the disk before its event, each checkpoint before its row."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn

from graders_engine.jobs.checkpoints import Checkpoints
from graders_engine.jobs.events import (
    Signal,
    columns,
    csv_line,
    long_job_warning,
    metrics_event,
    plan_event,
    wire_metrics,
)
from graders_engine.jobs.place import ROLLOUTS, STEP_METRICS, is_full
from graders_engine.jobs.states import WORKING, change
from graders_engine.jobs.step_files import StepFile
from graders_engine.language import strict_json
from graders_engine.models.local.source import LocalSource
from graders_engine.storage.job_records import NewEvent
from graders_engine.storage.jobs import Jobs
from graders_engine.training.trainer import (
    JobSpec,
    Plan,
    Rollout,
    StepReport,
    Stopped,
    Wanted,
)

_RECENT_STEPS = 10
"""Steps from whose durations the end is estimated."""
_FIRST_STEPS = 3
"""Steps after which people are warned of a long job."""
FULL_DISK = (
    "The disk is full: the job pauses with its last good checkpoint. Make room, then resume it."
)


class JobReport:
    """The report of one job's trainer.

    Args:
        jobs: where the job is.
        spec: of the job.
        folder: of the job.
        checkpoints: of the job.
        resumed: the step of the checkpoint from which it is taken up again; 0 from the beginning.
        max_s: seconds after which the job is paused; None for no limit.
        local: the models of this machine that the job's grader may ask; None for none.

    Attributes:
        ending: why every call raises `Stopped` from now on; empty as long as none does.
        reason: of a pause that nobody asked for.
        job_id: of the job.
        final_step: the step of the final checkpoint that was kept; None before that.
        local: as given.

    Raises:
        OSError: the folder cannot be written.
    """

    def __init__(
        self,
        jobs: Jobs,
        spec: JobSpec,
        folder: Path,
        checkpoints: Checkpoints,
        resumed: int,
        max_s: float | None = None,
        local: LocalSource | None = None,
    ) -> None:
        self.local = local
        self.ending: Literal["", "paused", "cancelled"] = ""
        self.reason = ""
        self.job_id = spec.id
        self.final_step: int | None = None
        self._jobs, self._spec, self._checkpoints = jobs, spec, checkpoints
        self._metrics = StepFile(folder / STEP_METRICS, resumed, columns(spec.method))
        self._rollouts = None
        if spec.method == "reinforcement":
            self._rollouts = StepFile(folder / ROLLOUTS, resumed)
        self._step = resumed
        self._train: dict[str, float] = {}
        self._total: int | None = None
        self._device, self._is_new = "", True
        self._signal = Signal()
        self._max_s, self._began = max_s, time.monotonic()
        self._times: deque[float] = deque([self._began], maxlen=_RECENT_STEPS + 1)

    @property
    def wanted(self) -> Wanted:
        """As of `training.trainer.Report`; also `paused` after the longest time that a job may take."""
        with self._working():
            state = self._jobs.state(self.job_id)
            if state is None or state.status not in WORKING:
                self._lose()
            if state.wanted == "paused":
                return "paused"
            if self._max_s is not None and time.monotonic() - self._began > self._max_s:
                self._pause_late(self._max_s)
                return "paused"
        return ""

    def _pause_late(self, max_s: float) -> None:
        message = f"The job has run for {max_s / 3600:g} hours, the most that [training] max_hours allows."
        event = NewEvent("warn", f"{message} It will pause after this step; resume it to continue.")
        change(self._jobs, self.job_id, "pausing", ("running",), [event])

    def plan(self, plan: Plan) -> None:
        """As of `training.trainer.Report`."""
        with self._working():
            self._total, self._device = plan.total_steps, plan.device
            event = plan_event(plan)
            self._jobs.add_event(
                self.job_id, event.level, event.message, event.data, once=event.once, while_in=WORKING
            )  # fmt: skip

    def warn(self, message: str, data: dict[str, Any] | None = None) -> None:
        """As of `training.trainer.Report`."""
        with self._working():
            self._jobs.add_event(
                self.job_id, "warn", message, data, once=f"warn {message}", while_in=WORKING
            )

    def rollouts(self, found: Sequence[Rollout]) -> None:
        """As of `training.trainer.Report`."""
        with self._working():
            if self._rollouts is None:
                raise ValueError(f"a {self._spec.method} job has no rollouts")
            for one in found:
                self._require_next(one.step)
                line = {
                    "step": one.step, "split": one.split, "row": one.row, "item": one.item,
                    "sample": one.sample, "reward": one.reward, "sub_rewards": one.sub_rewards,
                    "flags": one.flags,
                }  # fmt: skip
                self._rollouts.append(strict_json.encode(line))

    def step(self, report: StepReport) -> None:
        """As of `training.trainer.Report`."""
        with self._working():
            if self._total is None:
                raise ValueError("a step without a plan before it")
            self._require_next(report.step)
            if self._rollouts is not None:
                self._rollouts.sync()
            self._metrics.append(csv_line(self._spec.method, report).encode())
            self._metrics.sync()
            event = metrics_event(self._spec.method, self._total, report)
            self._jobs.add_event(
                self.job_id, event.level, event.message, event.data, "metrics", report.step,
                while_in=WORKING,
            )  # fmt: skip
            self._times.append(time.monotonic())
            if not self._jobs.note(
                self.job_id,
                WORKING,
                trained_tokens=report.trained_tokens,
                estimated_finish=int(time.time() + self._left_s(report.step)),
            ):
                self._lose()
            self._step, self._train = report.step, report.train
        if (warning := self._signal.warning(report)) is not None:
            self.warn(warning)
        if self._is_new and len(self._times) > _FIRST_STEPS:
            self._is_new = False
            if (warning := long_job_warning(self._device, self._left_s(report.step))) is not None:
                self.warn(warning)

    def _left_s(self, step: int) -> float:
        """How many seconds the other steps will take."""
        seconds = (self._times[-1] - self._times[0]) / (len(self._times) - 1)
        return seconds * ((self._total or step) - step)

    def _require_next(self, step: int) -> None:
        if step != self._step + 1:
            raise ValueError(f"step {step} comes after step {self._step}")

    def checkpoint(
        self, step: int, write: Callable[[Path], None], valid: dict[str, float], *, final: bool
    ) -> None:
        """As of `training.trainer.Report`."""
        with self._working():
            if step != self._step:
                raise ValueError(f"a checkpoint of step {step} after step {self._step}")
            if final and step != self._total:
                raise ValueError(f"a final checkpoint of step {step}, of {self._total} steps")
            metrics = wire_metrics(step, self._train, valid)
            if not self._checkpoints.keep(step, write, metrics, final=final):
                self._lose()
            if final:
                self.final_step = step

    def close(self) -> None:
        """Close the files."""
        self._metrics.close()
        if self._rollouts is not None:
            self._rollouts.close()

    def end(self, ending: Literal["paused", "cancelled"], reason: str = "") -> None:
        """Have every call raise `Stopped` from now on; threads may call it."""
        if not self.ending:
            self.reason = reason
            self.ending = ending

    def _lose(self) -> NoReturn:
        self.end("cancelled")
        raise Stopped("the job does not run any more")

    @contextmanager
    def _working(self) -> Iterator[None]:
        if self.ending:
            raise Stopped(self.reason or self.ending)
        try:
            yield
        except Stopped:
            raise
        except Exception as error:
            if not is_full(error):
                raise
            self.end("paused", FULL_DISK)
            raise Stopped(FULL_DISK) from error
