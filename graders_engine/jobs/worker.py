"""`python -m graders_engine.jobs.worker DIR JOB_ID`: the process of one job.

The settings of the engine that grades come over standard input (`evals.run.spec.as_json`). The process holds
the job's lock while it lives: who can take the lock knows that nobody works. It talks to others by the store
alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import stat
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from graders_engine.errors import GradersError
from graders_engine.inference.gpu import gpu_for_training
from graders_engine.inference.place import FOLDER as ANSWERING
from graders_engine.jobs.checkpoints import Checkpoints
from graders_engine.jobs.follower import RANK, follow
from graders_engine.jobs.grader_models import models_for_grader
from graders_engine.jobs.names import model_name
from graders_engine.jobs.place import LOCK, MODEL, RESERVE, RESERVE_BYTES, SPEC, is_full
from graders_engine.jobs.reporting import FULL_DISK, JobReport
from graders_engine.jobs.results import publish, withdraw
from graders_engine.jobs.spec_json import from_json
from graders_engine.jobs.states import WORKING, change
from graders_engine.jobs.trainers import TRAINER, load_trainer, not_available, other_version
from graders_engine.jobs.watcher import Watcher, end_group
from graders_engine.processes import read_at
from graders_engine.storage.job_records import NewEvent, StoredCheckpoint
from graders_engine.storage.jobs import StoredJob
from graders_engine.storage.lock import ProcessLock
from graders_engine.storage.store import Store
from graders_engine.training.trainer import (
    JobSpec,
    Resumed,
    Stopped,
    TrainingFailed,
    TrainingPaused,
)
from graders_engine.version import __version__

LOCKED = 75
"""Exit code of a worker that found another one at work."""
_LOCK_S = 1.0
"""How long the lock is waited for: who looks whether it is free holds it for a moment."""


def main(arguments: Sequence[str]) -> int:
    """Work on a job; gives the exit code."""
    parser = argparse.ArgumentParser(prog="graders_engine.jobs.worker")
    parser.add_argument("folder", type=Path)
    parser.add_argument("job_id")
    parser.add_argument("--trainer", default=TRAINER)
    parser.add_argument("--max-hours", type=float)
    parser.add_argument("--own-group", action="store_true", help="end all of its group at the end")
    parser.add_argument("--version", default=__version__, help="of who starts it")
    given = parser.parse_args(arguments)
    if given.version != __version__:  # it might change the store, under who has it open
        sys.exit(not_available(other_version(__version__, given.version)).message)
    settings = _settings()
    os.umask(0o077)
    with Store(given.folder) as store:
        job = store.jobs.find(given.job_id)
        folder = store.job_folder(given.job_id)
        if job is None or not folder.is_dir():
            return 0
        if os.environ.get(RANK, "0") != "0":
            trainer = load_trainer(given.trainer)
            follow(store, job, folder, lambda: read_spec(folder, settings), trainer)
            return 0
        lock = ProcessLock(folder / LOCK)
        until = time.monotonic() + _LOCK_S
        while not lock.take():
            if time.monotonic() > until:
                return LOCKED
            time.sleep(0.02)
        lock.path.write_text(f"{os.getpid()}\n", encoding="ascii")
        max_s = None if given.max_hours is None else given.max_hours * 3600
        options = Options(settings, given.trainer, max_s, given.own_group)
        work = Work(store, job, folder, options)
        work.do()
    if work.is_cancelled and given.own_group:
        end_group()
    return (
        0  # the lock is free when the process has ended, with all that the trainer has left in it
    )


def _settings() -> str:
    """What standard input has: read at once where several processes share it."""
    descriptor = sys.stdin.fileno()
    size = os.fstat(descriptor)
    if stat.S_ISREG(size.st_mode):
        return read_at(descriptor, size.st_size, 0).decode() or "{}"
    return sys.stdin.buffer.read().decode() or "{}"


@dataclass(frozen=True, slots=True)
class Options:
    """How a worker works.

    Attributes:
        settings: of the engine that grades, as text.
        trainer: `MODULE:CLASS`.
        max_s: seconds after which the job is paused; None for no limit.
        own_group: whether all processes of its group are the job's.
    """

    settings: str
    trainer: str
    max_s: float | None
    own_group: bool


class Work:
    """The work on one job, from its state `queued` until it has another one.

    Args:
        store: where the job is.
        job: the job.
        folder: of the job.
        options: how.

    Attributes:
        is_cancelled: whether the job was cancelled or deleted meanwhile.
    """

    def __init__(self, store: Store, job: StoredJob, folder: Path, options: Options) -> None:
        self.is_cancelled = False
        self._store, self._job, self._folder = store, job, folder
        self._options = options
        self._checkpoints = Checkpoints(store.jobs, job, folder)

    def do(self) -> None:
        """Do it; what is raised ends the process, and another one takes the job up again."""
        started = NewEvent("info", "Fine-tuning job started", once="started")
        if not change(
            self._store.jobs, self._job.id, "running", ("queued",), [started], heartbeat=time.time()
        ):
            return
        try:
            self._take_space()
            self._train()
        except TrainingFailed as error:
            self._fail(error)
        except TrainingPaused as error:
            self._pause(error.reason)
        except ImportError as error:
            self._fail(not_available(str(error)))
        except Exception as error:
            if not is_full(error):
                raise
            self._pause(FULL_DISK)

    def _train(self) -> None:
        spec = read_spec(self._folder, self._options.settings)
        self._checkpoints.clean_up()
        newest = self._checkpoints.newest()
        if newest is not None and newest.final:
            self._succeed(newest)
            return
        resumed = None if newest is None else Resumed(newest.step, self._folder / newest.folder)
        report = JobReport(
            self._store.jobs, spec, self._folder, self._checkpoints,
            0 if resumed is None else resumed.step, self._options.max_s,
            models_for_grader(self._store, self._job, self._options.settings),
        )  # fmt: skip
        answering = self._store.folder / ANSWERING
        try:
            with (
                gpu_for_training(answering),
                Watcher(self._store, report, own_group=self._options.own_group),
            ):
                load_trainer(self._options.trainer).train(spec, resumed, report)
        except Stopped:
            if not report.ending:
                raise
        finally:
            report.close()
        self._conclude(report)

    def _conclude(self, report: JobReport) -> None:
        """Give the job the state that the training has led to."""
        if report.ending == "cancelled":
            self.is_cancelled = True
        elif report.ending == "paused":
            self._pause(report.reason)
        elif report.final_step is not None:
            newest = self._checkpoints.newest()
            assert newest is not None  # noqa: S101 - it was kept just now
            self._succeed(newest)
        elif not change(self._store.jobs, self._job.id, "paused", ("pausing",), [_paused()]):
            self._fail(
                TrainingFailed(
                    "no_weights",
                    "The trainer has ended before all steps were done, without weights.",
                )
            )

    def _succeed(self, final: StoredCheckpoint) -> None:
        if not (self._folder / final.folder / MODEL).is_dir():
            raise TrainingFailed("no_weights", "The weights of the last step are lost.")
        files = publish(self._store, self._job, self._folder)
        name = model_name(self._job)
        events = [
            NewEvent("info", "New fine-tuned model created", {"fine_tuned_model": name}),
            NewEvent("info", "The job has successfully completed"),
        ]
        self._make_room()
        if not change(
            self._store.jobs, self._job.id, "succeeded", WORKING, events, fine_tuned_model=name,
            result_files=files,
        ):  # fmt: skip
            withdraw(self._store, self._job, files)
            self.is_cancelled = True

    def _fail(self, failed: TrainingFailed) -> None:
        self._make_room()
        error = {"code": failed.code, "message": failed.message, "param": failed.param}
        event = NewEvent("error", failed.message, {"code": failed.code})
        files: list[str] = []
        with suppress(GradersError, OSError):  # the job fails, whether they can be had or not
            files = publish(self._store, self._job, self._folder)
        self.is_cancelled = not change(
            self._store.jobs,
            self._job.id,
            "failed",
            WORKING,
            [event],
            error=error,
            result_files=files,
        )
        if self.is_cancelled:
            withdraw(self._store, self._job, files)

    def _pause(self, reason: str) -> None:
        self._make_room()
        events = [NewEvent("warn", reason), _paused()]
        self.is_cancelled = not change(self._store.jobs, self._job.id, "paused", WORKING, events)

    def _take_space(self) -> None:
        (self._folder / RESERVE).write_bytes(os.urandom(RESERVE_BYTES))  # zeros may take no space

    def _make_room(self) -> None:
        """Give back the space that was kept for the last change of the job."""
        with suppress(OSError):
            (self._folder / RESERVE).unlink(missing_ok=True)


def _paused() -> NewEvent:
    return NewEvent("info", "The job is paused.")


def read_spec(folder: Path, settings: str) -> JobSpec:
    """What a job's trainer is given.

    Raises:
        TrainingFailed: it cannot be read.
    """
    try:
        spec = from_json((folder / SPEC).read_bytes())
    except (OSError, ValueError) as error:
        raise TrainingFailed("invalid_spec", f"{SPEC} cannot be read: {error}.") from None
    return dataclasses.replace(spec, settings=settings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
