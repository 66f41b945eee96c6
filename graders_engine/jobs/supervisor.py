"""Starts the workers of jobs, and starts them again when they die; a job whose worker lives is left alone."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from graders_engine.errors import OutOfResources
from graders_engine.evals.run.spec import environment
from graders_engine.evals.worker_processes import KILL_S, POLL_S, WorkerProcesses, end_of_log
from graders_engine.jobs.launching import launcher_options
from graders_engine.jobs.place import LOCK, LOG, SPEC, write_whole
from graders_engine.jobs.states import change
from graders_engine.jobs.trainers import TRAINER
from graders_engine.language import strict_json
from graders_engine.processes import end_group, end_group_of, is_running
from graders_engine.settings import EngineSettings
from graders_engine.storage.job_records import NewEvent
from graders_engine.storage.jobs import JobState, StoredJob
from graders_engine.storage.lock import ProcessLock
from graders_engine.storage.store import Store
from graders_engine.version import __version__

AT_ONCE = 1
"""Jobs that are trained at the same time."""
ATTEMPTS = 3
"""Workers that may die one after the other without a new step; then the job has failed."""
COMMAND = (sys.executable, "-P", "-m")
_WORKER = "graders_engine.jobs.worker"
_LAUNCHER = "accelerate.commands.launch"
_MOVING = ("queued", "running", "pausing")
"""States that something is done about here."""
_PASSED = re.compile(
    r"(?:CUDA|HF|NVIDIA|NCCL|TORCH|PYTORCH|ROCR|HIP)_\w+|TORCHINDUCTOR_\w+|OMP_NUM_THREADS"
)
"""The variables that a worker gets besides those of a run's worker."""
_WANDB = re.compile(r"WANDB_\w+")
"""Those that it gets if its job asks for the integration."""


class Supervisor(WorkerProcesses):
    """Looks after the jobs of a store. Several may do so at once: a job has one worker, whichever starts it.

    In a server::

        task = asyncio.create_task(supervisor.watch())
        ...
        supervisor.wake()   # a job was created, paused, resumed or cancelled

    Without one, `finish` works on a job and returns when it has ended or is paused.

    Args:
        store: where the jobs are.
        settings: of the engine that grades.
        at_once: jobs that are trained at the same time.
        trainer: what trains, as `MODULE:CLASS`.
        max_hours: after which a job is paused; None for no limit.
        command: a Python that has what the trainer needs, up to `-m`.

    Raises:
        InvalidRequest: the settings hold an object, which no worker can have.
    """

    def __init__(
        self,
        store: Store,
        settings: EngineSettings,
        *,
        at_once: int = AT_ONCE,
        trainer: str = TRAINER,
        max_hours: float | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        super().__init__(settings, "fine-tuning jobs")
        self._store, self._at_once, self._command = store, at_once, tuple(command)
        self._settings = settings
        self._options = ["--own-group", "--trainer", trainer, "--version", __version__]
        if max_hours is not None:
            self._options += ["--max-hours", str(max_hours)]
        self._cancelled_at: dict[str, float] = {}

    def finish(self, job_id: str, on_look: Callable[[], object] = lambda: None) -> StoredJob | None:
        """Look after this job alone until it has ended or is paused; None if it is deleted meanwhile.

        Args:
            job_id: of the job.
            on_look: called now and then.
        """
        while (state := self._store.jobs.state(job_id)) is not None and (
            state.status in _MOVING or state.wanted
        ):
            self.look(job_id)
            on_look()
            time.sleep(POLL_S)
        self._wait_for(job_id)
        return self._store.jobs.find(job_id)

    def look(self, only: str | None = None) -> None:
        """Look at all jobs once, or at this one: start, start again, end what is to end."""
        self._reap()
        working = sum(
            self._end_cancelled(state)
            for state in self._store.jobs.with_wanted("cancelled")
            if only in (None, state.id)
        )
        queued = []
        for state in self._store.jobs.states(*_MOVING):
            if only not in (None, state.id):
                continue
            if not self._settle(state):
                working += 1
            elif state.status != "pausing":
                queued.append(state.id)
        for job_id in queued[: max(0, self._at_once - working)]:
            self._start(job_id)

    def _settle(self, state: JobState) -> bool:
        """Give a job without a worker the state that this makes of it; False if it has a worker.

        The lock is held meanwhile, so that no other worker begins.
        """
        lock = self._lock_of(state.id)
        if lock is None:
            return False
        jobs = self._store.jobs
        try:
            if state.status == "running":
                step = max((one.step for one in jobs.all_checkpoints(state.id)), default=0)
                place = f"the checkpoint of step {step}" if step else "the beginning"
                what = f": another one continues from {place}" if self._may_start(state.id) else ""
                event = NewEvent("warn", f"The job's worker was lost{what}.")
                change(jobs, state.id, "queued", ("running",), [event])
            elif state.status == "pausing":
                change(
                    jobs, state.id, "paused", ("pausing",), [NewEvent("info", "The job is paused.")]
                )
        finally:
            lock.release()
        return True

    def _lock_of(self, job_id: str) -> ProcessLock | None:
        """The lock of a job, taken; None if a worker is at work, or was started just now."""
        if job_id in self._started:
            return None
        folder = self._store.job_folder(job_id)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = ProcessLock(folder / LOCK)
        if lock.take():
            return lock
        self._end_left_behind(lock.path)
        return None

    def _end_left_behind(self, lock: Path) -> None:
        """End what a dead worker has started, if that has inherited the lock: nobody works then."""
        with suppress(OSError, ValueError):
            worker = int(lock.read_text(encoding="ascii"))
            if not is_running(worker):
                end_group(worker)

    def _end_cancelled(self, state: JobState) -> bool:
        """See that a cancelled job's worker ends; whether it still lives."""
        lock = self._lock_of(state.id)
        if lock is not None:
            lock.release()
            self._cancelled_at.pop(state.id, None)
            self._store.jobs.note(state.id, ("cancelled",), wanted="")
            return False
        since = self._cancelled_at.setdefault(state.id, time.monotonic())
        if time.monotonic() - since >= KILL_S:
            self._kill(state.id)
        return True

    def _kill(self, job_id: str) -> None:
        """Kill a worker with all that it has started."""
        # The number is a worker's as long as the lock is held, which was so just now.
        with suppress(OSError, ValueError):
            worker = int((self._store.job_folder(job_id) / LOCK).read_text(encoding="ascii"))
            end_group_of(worker)

    def _start(self, job_id: str) -> None:
        """Start a worker, unless too many have died without a new step."""
        job = self._store.jobs.find(job_id)
        if job is None or job.status != "queued":
            return
        reached = self._store.jobs.last_step(job_id)
        died = _died(job, reached)
        if died >= ATTEMPTS:
            self._give_up(job)
            return
        variables = self._environment(job)
        folder = self._store.job_folder(job_id)
        spec = folder / SPEC
        if not spec.exists():
            write_whole(spec, strict_json.encode({**job.spec, "settings": "{}"}))
        if not self._store.jobs.note(job_id, ("queued",), attempt=died + 1, reached=reached):
            return
        try:
            self._spawn(job_id, self._command_for(job), folder / LOG, variables)
        except OSError as error:
            # None has died: this system may have room later.
            self._store.jobs.note(job_id, ("queued",), attempt=died)
            message = f"A worker cannot be started: {error.strerror}."
            if isinstance(error, FileNotFoundError | PermissionError):
                message += f" [training] in graders.toml names its Python, {self._command[0]}."
            self._store.jobs.add_event(
                job_id, "warn", f"{message} The job waits.", once="not started"
            )
            raise OutOfResources(message) from None

    def _may_start(self, job_id: str) -> bool:
        """Whether a job whose worker died gets another one."""
        job = self._store.jobs.find(job_id)
        return job is not None and _died(job, self._store.jobs.last_step(job_id)) < ATTEMPTS

    def _environment(self, job: StoredJob) -> dict[str, str]:
        more = {
            name: value
            for name, value in os.environ.items()
            if _PASSED.fullmatch(name) or (job.spec.get("wandb") and _WANDB.fullmatch(name))
        }
        # In its log, what it has printed stands before the reason of its death.
        return {**environment(self._settings), **more, "PYTHONUNBUFFERED": "1"}

    def _command_for(self, job: StoredJob) -> list[str]:
        launched = job.spec.get("accelerate")
        launcher = [_LAUNCHER, *launcher_options(Path(launched)), "-m"] if launched else []
        folder = str(self._store.folder.absolute())
        return [*self._command, *launcher, _WORKER, folder, job.id, *self._options]

    def _give_up(self, job: StoredJob) -> None:
        log = end_of_log(self._store.job_folder(job.id) / LOG)
        message = (
            f"The job's worker died {job.attempt} times without a new step. The end of its log: "
            f"{log or '(empty)'}"
        )
        error = {"code": "worker_died", "message": message, "param": None}
        event = NewEvent("error", message, {"code": "worker_died"})
        change(self._store.jobs, job.id, "failed", ("queued",), [event], error=error)


def _died(job: StoredJob, reached: int) -> int:
    """How many workers have died without a new step, of a job whose last step is this one."""
    return 0 if reached > job.reached else job.attempt
