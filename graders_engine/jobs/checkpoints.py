"""Checkpoints of a job: written beside, given their name, and then their row. The row is the checkpoint."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from graders_engine.jobs.names import checkpoint_name
from graders_engine.jobs.place import CHECKPOINT, MODEL, STATE, UNFINISHED, sync_tree
from graders_engine.jobs.states import WORKING
from graders_engine.storage.blobs import sync_folder
from graders_engine.storage.job_records import NewEvent, StoredCheckpoint
from graders_engine.storage.jobs import Jobs, StoredJob
from graders_engine.training.trainer import TrainingFailed

BEST = 3
"""So many checkpoints are kept, besides the newest."""
_CHUNK = 1 << 20


class Checkpoints:
    """The checkpoints of one job, for its worker.

    Args:
        jobs: where the rows are.
        job: whose they are.
        folder: of the job.
    """

    def __init__(self, jobs: Jobs, job: StoredJob, folder: Path) -> None:
        self._jobs, self._job, self._folder = jobs, job, folder

    def clean_up(self) -> None:
        """Remove what a lost worker has left: folders without a row, and checkpoints that were to go."""
        rows = {one.folder: one for one in self._jobs.all_checkpoints(self._job.id)}
        for path in list(self._folder.iterdir()):
            is_one = path.name.startswith((CHECKPOINT, UNFINISHED))
            if is_one and path.name not in rows:
                shutil.rmtree(path)
        for one in rows.values():
            if not one.resumable:
                self._drop_state(one)
        if rows:
            self._remove_others(max(rows.values(), key=lambda one: one.step))

    def newest(self) -> StoredCheckpoint | None:
        """The checkpoint from which the job is taken up again; None if it begins.

        Raises:
            TrainingFailed: its files are lost or were changed.
        """
        found = [one for one in self._jobs.all_checkpoints(self._job.id) if one.resumable]
        if not found:
            return None
        newest = found[-1]
        folder = self._folder / newest.folder
        if not (folder / STATE).is_dir() or digest(folder / MODEL) != newest.digest:
            raise TrainingFailed(
                "checkpoint_damaged",
                f"The files of the checkpoint of step {newest.step} are lost or were changed, and the job "
                "cannot continue from it: create another job.",
            )
        return newest

    def keep(
        self, step: int, write: Callable[[Path], None], metrics: Mapping[str, Any], *, final: bool
    ) -> bool:
        """Keep the weights of a step; False if the job no longer works.

        Raises:
            TrainingFailed: there are no weights.
            OSError: they cannot be written.
        """
        kept = next((one for one in self._all() if one.step == step), None)
        if kept is not None:  # asked for by a pause and by the step itself
            if final and not kept.final:
                self._jobs.make_final(kept.id)
            return True
        folder = self._new_folder(step, write)
        new = StoredCheckpoint(
            self._job.id, step, checkpoint_name(self._job, step), folder.name,
            digest(folder / MODEL), metrics, final=final,
        )  # fmt: skip
        event = NewEvent("info", f"Checkpoint created at step {step}", {"step": step})
        if not self._jobs.add_checkpoint(new, events=[event], while_in=WORKING):
            shutil.rmtree(folder)
            return False
        self._remove_others(new)
        return True

    def _all(self) -> list[StoredCheckpoint]:
        return self._jobs.all_checkpoints(self._job.id)

    def _new_folder(self, step: int, write: Callable[[Path], None]) -> Path:
        """Write a checkpoint, and give it its name when it is on the disk."""
        unfinished = self._folder / f"{UNFINISHED}{step}"
        folder = self._folder / f"{CHECKPOINT}{step}"
        for left in (unfinished, folder):
            shutil.rmtree(left, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        try:
            write(unfinished)
            if not any((unfinished / MODEL).glob("*")):
                raise TrainingFailed(
                    "no_weights", f"The trainer has written no weights after step {step}."
                )
            (unfinished / STATE).mkdir(exist_ok=True)
            sync_tree(unfinished)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        unfinished.rename(folder)
        sync_folder(self._folder)
        return folder

    def _remove_others(self, newest: StoredCheckpoint) -> None:
        """Remove all but the best and the newest; of those that stay, the newest alone can be resumed."""
        others = [one for one in self._all() if one.id != newest.id]
        everyone = sorted([*others, newest], key=_rank)
        best = {one.id for one in everyone[:BEST]}
        for one in others:
            if one.id not in best:
                self._jobs.remove_checkpoint(one.id)
                shutil.rmtree(self._folder / one.folder)
            elif one.resumable:
                self._jobs.end_resumable(one.id)
                self._drop_state(one)

    def _drop_state(self, one: StoredCheckpoint) -> None:
        shutil.rmtree(self._folder / one.folder / STATE, ignore_errors=True)


def _rank(one: StoredCheckpoint) -> tuple[float, int]:
    """Sorts checkpoints from the best on, those without validation last; of equals, the newest first."""
    reward, loss = one.metrics.get("valid_reward_mean"), one.metrics.get("valid_loss")
    badness = -reward if reward is not None else loss
    if badness is None or math.isnan(badness):
        badness = math.inf
    return badness, -one.step


def digest(folder: Path) -> str:
    """The digest of all files in a folder, with their names; of no files where there is no folder."""
    found = hashlib.sha256()
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in paths:
        name = os.fsencode(path.relative_to(folder).as_posix())
        found.update(b"%d %d\n%b\n" % (len(name), path.stat().st_size, name))
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                found.update(chunk)
    return found.hexdigest()
