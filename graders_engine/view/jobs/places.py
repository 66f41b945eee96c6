"""Where a job is whose page is asked for, and how it is read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from graders_engine.errors import DataSetError
from graders_engine.jobs.page.watch import Reader
from graders_engine.storage.ids import is_name
from graders_engine.storage.store import DATABASE, Store
from graders_engine.storage.unopened import has_job, watched_in
from graders_engine.storage.watched_jobs import Watched
from graders_engine.view.folders.places import Places, files_in, unknown

_JOBS = "jobs"
"""The folder of a store in which each job has one."""


class JobPlace(NamedTuple):
    """Where a job is: its folder, and what reads it of its store."""

    folder: Path
    read: Reader


def job_of_store(store: Store, project: str, job_id: str) -> JobPlace:
    """A job of a store that is opened.

    Raises:
        Refused: there can be no such job.
    """
    if not is_name(job_id):
        raise unknown(job_id)

    def read(seq: int, each: Callable[[int, str | bytes], object]) -> Watched | None:
        return store.jobs.watch(project, job_id, seq, each)

    return JobPlace(store.job_folder(job_id), read)


class JobPlaces:
    """The jobs of the stores in opened folders, each of which is looked for once.

    Args:
        places: what was opened.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._stores: dict[str, Path] = {}
        self._lock = Lock()

    def find(self, job_id: str) -> JobPlace:
        """A job.

        Raises:
            Refused: no store has it.
        """
        if not is_name(job_id):
            raise unknown(job_id)
        with self._lock:
            store = self._stores.get(job_id)
        if store is None or not self._places.holds(store / DATABASE):
            store = next((one for one in self._all() if has_job(one, job_id)), None)
            if store is None:
                raise unknown(job_id)
            with self._lock:
                self._stores[job_id] = store
        folder = store / _JOBS / job_id
        if not self._places.holds(folder):
            raise unknown(job_id)
        return JobPlace(folder, _reader(store, job_id))

    def _all(self) -> Iterator[Path]:
        """The folders of the stores."""
        for place in self._places.all:
            for entry in files_in(place) if not place.only else ():
                if entry is not None and entry.name == DATABASE:
                    yield Path(entry.path).parent


def _reader(store: Path, job_id: str) -> Reader:
    def read(seq: int, each: Callable[[int, str | bytes], object]) -> Watched | None:
        try:
            return watched_in(store, job_id, seq, each)
        except sqlite3.Error:
            raise DataSetError("The store of this job cannot be read.") from None

    return read
