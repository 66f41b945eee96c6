"""A folder in which files, evals, runs and fine-tuning jobs are kept."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from graders_engine.storage.blobs import our_errors
from graders_engine.storage.database import Database
from graders_engine.storage.errors import StoreFull, StoreInUse
from graders_engine.storage.evals import Evals
from graders_engine.storage.files import Files
from graders_engine.storage.ids import as_name
from graders_engine.storage.jobs import Jobs
from graders_engine.storage.lock import ProcessLock
from graders_engine.storage.permissions import Permissions
from graders_engine.storage.reserve import Reserve
from graders_engine.storage.runs import Items, Runs
from graders_engine.storage.tuned_models import TunedModels

DATABASE, LOCK, RESERVE = "store.sqlite3", "lock", "reserve"
"""Files in the folder."""
WEIGHTS = "step-"
"""How the folders of weights begin in that of a job."""

_NO_ROOM = (
    "The disk of {} is full. A server needs 2 MiB there: one to work in, and one that it keeps in {}, so "
    "that clients can delete files and runs when the disk is full. Make room on the disk, or name a folder "
    "on another one with --jobs."
)


class Store:
    """Files, evals, runs and jobs in a folder. Threads may share it; several processes may open the folder.

    Its methods wait for the disk: in an event loop, call them in a thread.

    Args:
        folder: where everything is; it is made if needed, for its owner alone.

    Attributes:
        folder: as given.
        files: the files.
        evals: the evals.
        runs: their runs.
        items: output items of imported runs.
        jobs: the fine-tuning jobs.
        models: what they have made.
        permissions: of other projects to use it.

    Raises:
        StoreError: the folder cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with our_errors(f"{folder}: files and evals"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for part in (self._runs_folder, self._jobs_folder):
                part.mkdir(mode=0o700, exist_ok=True)
        self._database = Database(folder / DATABASE)
        try:
            self.files = Files(self._database, folder / "files")
        except BaseException:
            self._database.close()
            raise
        self.evals = Evals(self._database, self._remove_runs)
        self.runs = Runs(self._database, self._remove_runs)
        self.items = Items(self._database)
        self.jobs = Jobs(self._database, self._remove_jobs)
        self.models = TunedModels(self._database, self._remove_weights)
        self.permissions = Permissions(self._database)

    @classmethod
    def for_server(cls, folder: Path) -> Store:
        """Open a store to serve it. On a full disk, its reserve makes room: then clients can delete.

        Raises:
            StoreFull: the disk is full, and there is no reserve; the message says what to do.
            StoreError: the folder cannot be used.
        """
        try:
            return cls(folder)
        except StoreFull:
            if not _give_reserve_up(folder):
                raise StoreFull(_NO_ROOM.format(folder, folder / RESERVE)) from None
        try:
            return cls(folder)
        except StoreFull:
            raise StoreFull(_NO_ROOM.format(folder, folder / RESERVE)) from None

    @property
    def _runs_folder(self) -> Path:
        return self.folder / "runs"

    @property
    def _jobs_folder(self) -> Path:
        return self.folder / "jobs"

    @contextmanager
    def serve(self) -> Iterator[None]:
        """Be the one server of this folder, and remove what a crash has left in it.

        Raises:
            StoreInUse: another server has it.
            StoreError: the folder cannot be used.
        """
        lock = ProcessLock(self.folder / LOCK)
        if not lock.take():
            raise StoreInUse(
                f"Another server uses {self.folder}: stop it, or name another folder with --jobs."
            )
        try:
            self._database.keep_reserve(self.folder / RESERVE)
            self.files.expire(time.time())
            self._database.forget_deleted(time.time())
            self.files.clean_up()
            _clean_up(self._runs_folder, lambda name: self.runs.find(name) is not None)
            _clean_up(self._jobs_folder, lambda name: self.jobs.state(name) is not None)
            _clean_up_weights(self._jobs_folder, self.models.has_folder)
            yield
        finally:
            lock.release()

    def run_folder(self, run_id: str) -> Path:
        """Where a run's worker keeps its files; who writes there first makes it.

        Raises:
            ValueError: this cannot be the id of a run.
        """
        return self._runs_folder / as_name(run_id)

    def job_folder(self, job_id: str) -> Path:
        """Where a job's worker keeps its files; who writes there first makes it.

        Raises:
            ValueError: this cannot be the id of a job.
        """
        return self._jobs_folder / as_name(job_id)

    def _remove_runs(self, ids: Sequence[str]) -> None:
        _remove(self._runs_folder, ids)

    def _remove_jobs(self, ids: Sequence[str]) -> None:
        _remove(self._jobs_folder, ids)

    def _remove_weights(self, job_id: str, folder: str) -> None:
        _remove(self.job_folder(job_id), [as_name(folder)])

    def close(self) -> None:
        """Close the database; closing twice is allowed."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _clean_up(folder: Path, is_known: Callable[[str], bool]) -> None:
    """Remove the folders of what was deleted, unless a worker still has one."""
    with our_errors("Runs and jobs"):
        names = [path.name for path in folder.iterdir()]
    for name in names:
        if not is_known(name):
            lock = ProcessLock(folder / name / "lock")
            if lock.path.exists() and not lock.take():
                continue
            lock.release_where_it_keeps_files()
            _remove(folder, [name])
            lock.release()


def _clean_up_weights(folder: Path, is_known: Callable[[str, str], bool]) -> None:
    """Remove weights that no row names, unless a worker still has their job."""
    with our_errors("Weights"):
        paths = list(folder.glob(f"*/{WEIGHTS}*"))
    for path in paths:
        job_id, name = path.parent.name, path.name
        if not is_known(job_id, name):
            lock = ProcessLock(path.parent / "lock")
            if not lock.take():
                continue
            if not is_known(job_id, name):  # a worker may have added it before it ended
                _remove(path.parent, [name])
            lock.release()


def _remove(folder: Path, ids: Sequence[str]) -> None:
    for id_ in ids:
        # What stays, because a worker writes to it just now, is removed by the next server.
        shutil.rmtree(folder / id_, ignore_errors=True)


def _give_reserve_up(folder: Path) -> bool:
    """Give up the space that a store keeps, unless a server has the store; whether there was any."""
    lock, reserve = ProcessLock(folder / LOCK), Reserve(folder / RESERVE)
    if not reserve.bytes or not lock.take():
        return False
    reserve.give_up()
    lock.release()
    return True
