"""The runs that can be looked at: those in opened folders, or those that a server keeps."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Protocol

from graders_engine.errors import Mistake
from graders_engine.evals.run.place import RESULTS
from graders_engine.files import without_paths
from graders_engine.server.responses import Refused
from graders_engine.storage.listed_runs import ListedRun
from graders_engine.storage.store import Store
from graders_engine.storage.unopened import jobs_in
from graders_engine.view.findings.files import listed_report
from graders_engine.view.folders.found import Describing, Filling
from graders_engine.view.folders.found_files import META, FoundFiles, found, stored_run
from graders_engine.view.folders.jobs import MAX_JOBS, jobs_json
from graders_engine.view.folders.other_files import kind_of_file
from graders_engine.view.folders.places import Places, unknown
from graders_engine.view.folders.same_data import runs_over
from graders_engine.view.jobs.places import JobPlace, JobPlaces, job_of_store

MAX_RUNS, MAX_OTHERS = 2000, 200
"""Runs, and other files, in a list."""
_FILE_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]{1,120}\.(json|ya?ml)", re.IGNORECASE)


class RunSource(Protocol):
    """The runs that somebody may see; threads may share it."""

    def listing(self) -> dict[str, Any]:
        """What is listed: `runs`, `jobs`, `preflight`, `others` and `folders` of the JSON.

        `more` and `more_jobs` say whether there are others.
        """
        ...

    def results(self, run: str) -> Path:
        """The results file of a run.

        Raises:
            Refused: there is no such run.
        """
        ...

    def run_json(self, run: str) -> dict[str, Any]:
        """A run with its numbers.

        Raises:
            Refused: there is no such run.
        """
        ...

    def job(self, job_id: str) -> JobPlace:
        """Where a fine-tuning job is.

        Raises:
            Refused: there can be no such job.
        """
        ...

    def data_set(self, name: str) -> Path:
        """A data set by its name.

        Raises:
            Refused: there is no such file.
        """
        ...

    def report(self, name: str) -> Path:
        """A report of preflight by its name.

        Raises:
            Refused: there is no such report.
        """
        ...

    def named_in(self, report: str, name: str) -> list[Path]:
        """The files in what was opened that the name of a file in a report may stand for."""
        ...

    def runs_over(self, data: Path) -> list[str]:
        """The runs that have a result of every row of a data set, the newest first."""
        ...

    def new_file(self, beside: str, name: str) -> Path:
        """Where a new file goes: beside a run or a data set.

        Raises:
            Refused: it cannot be written there, or is there.
        """
        ...

    def plain(self, text: str) -> str:
        """A sentence in which paths are as the user gave them."""
        ...


class FolderRuns:
    """The runs in opened folders.

    Args:
        places: what was opened.
    """

    def __init__(self, places: Places) -> None:
        self._places, self._describe = places, Describing(Filling())
        self._jobs = JobPlaces(places)

    def listing(self) -> dict[str, Any]:
        """What can be opened, the newest run first."""
        files = FoundFiles(self._places, MAX_RUNS)
        runs = [self._plain(self._describe(run)) for run in files.runs[:MAX_RUNS]]
        runs.sort(key=lambda run: run["when"] or "", reverse=True)
        others = [
            {"path": name, "kind": kind} for name, _, kind in files.others if kind != "preflight"
        ]
        reports = [(name, path) for name, path, kind in files.others if kind == "preflight"]
        listed = [listed_report(name, path) for name, path in reports[:MAX_OTHERS]]
        jobs = [job for store in files.stores for job in jobs_in(store, MAX_JOBS + 1)]
        jobs.sort(key=lambda job: job.created_at, reverse=True)
        return {
            "runs": runs,
            **jobs_json(jobs),
            "preflight": sorted(listed, key=lambda one: one["when"] or "", reverse=True),
            "others": others[:MAX_OTHERS],
            "folders": [place.label for place in self._places.all],
            "more": files.is_cut
            or len(files.runs) > MAX_RUNS
            or max(len(others), len(reports)) > MAX_OTHERS,
        }

    def results(self, run: str) -> Path:
        """The results file of a run."""
        return self._places.find_run(run)

    def run_json(self, run: str) -> dict[str, Any]:
        """A run with its numbers."""
        path = self.results(run)
        return self._plain(self._describe(found(run, path, stored_run(self._places, path))))

    def job(self, job_id: str) -> JobPlace:
        """Where a fine-tuning job is."""
        return self._jobs.find(job_id)

    def data_set(self, name: str) -> Path:
        """A data set by its name."""
        path = self._places.find(name)
        try:
            there = path.is_file()
        except OSError:  # its name is too long
            there = False
        if not there:
            raise unknown(name)
        return path

    def report(self, name: str) -> Path:
        """A report of preflight by its name."""
        path = self.data_set(name)
        if kind_of_file(path) != "preflight":
            raise unknown(name)
        return path

    def named_in(self, report: str, name: str) -> list[Path]:
        """The files that a name in a report may stand for: seen from its folder, and from those above."""
        folder = self._places.find(report).parent
        tried = [above / name for above in (folder, *folder.parents) if self._places.holds(above)]
        beside = folder / Path(name).name
        found = (self._places.real(path) for path in (*tried, beside))
        return list(dict.fromkeys(path for path in found if path is not None and path.is_file()))

    def runs_over(self, data: Path) -> list[str]:
        """The runs that have a result of every row of a data set, the newest first."""
        return runs_over(FoundFiles(self._places, MAX_RUNS).runs[:MAX_RUNS], data)

    def new_file(self, beside: str, name: str) -> Path:
        """Where a new file goes."""
        if not _FILE_NAME.fullmatch(name) or name.startswith(".") or name.lower().endswith(META):
            message = (
                "A new grader needs the name of a file in this folder, such as grader-2.json, and none that "
                f"ends in {META}."
            )
            raise Refused(400, Mistake(message, "name", "invalid_value"))
        path = self._places.find_folder(beside) / name
        if os.path.lexists(path):
            message = f"There is a file {name}: name another one."
            raise Refused(409, Mistake(message, "name", "file_exists"))
        return path

    def plain(self, text: str) -> str:
        """A sentence in which paths are as the user gave them."""
        return self._places.plain(text)

    def _plain(self, run: dict[str, Any]) -> dict[str, Any]:
        return {**run, "problem": self.plain(run["problem"])} if run["problem"] else run


class StoreRuns:
    """The runs of one project that a server keeps.

    Args:
        store: where they are.
        project: whose.
    """

    def __init__(self, store: Store, project: str) -> None:
        self._store, self._project = store, project
        self._describe = Describing(Filling())

    def listing(self) -> dict[str, Any]:
        """The runs, the newest first."""
        runs = self._store.runs.newest(self._project, MAX_RUNS + 1)
        return {
            "runs": [self._run_json(run) for run in runs[:MAX_RUNS]],
            **jobs_json(self._store.jobs.newest(self._project, MAX_JOBS + 1)),
            "preflight": [],
            "others": [],
            "folders": [],
            "more": len(runs) > MAX_RUNS,
        }

    def results(self, run: str) -> Path:
        """The results file of a run."""
        return self._path(self._of(run))

    def run_json(self, run: str) -> dict[str, Any]:
        """A run with its numbers."""
        return self._run_json(self._of(run))

    def job(self, job_id: str) -> JobPlace:
        """Where a fine-tuning job is."""
        return job_of_store(self._store, self._project, job_id)

    def data_set(self, name: str) -> Path:
        """A server's page opens no data sets."""
        raise unknown(name)

    def report(self, name: str) -> Path:
        """A server keeps no reports of preflight."""
        raise unknown(name)

    def named_in(self, report: str, name: str) -> list[Path]:
        """A server's page opens no files."""
        return []

    def runs_over(self, data: Path) -> list[str]:
        """A server's page opens no files."""
        return []

    def new_file(self, beside: str, name: str) -> Path:
        """A server's page writes no files."""
        message = (
            "Nothing can be saved on this server: open the folder with `graders view` instead."
        )
        raise Refused(403, Mistake(message, code="read_only"))

    def plain(self, text: str) -> str:
        """A sentence without the folders of the server's machine."""
        return without_paths(text.replace(f"{self._store.folder}{os.sep}", ""))

    def _of(self, run_id: str) -> ListedRun:
        listed = self._store.runs.listed(self._project, run_id)
        if listed is None:
            raise unknown(run_id)
        return listed

    def _path(self, run: ListedRun) -> Path:
        return self._store.run_folder(run.id) / RESULTS

    def _run_json(self, run: ListedRun) -> dict[str, Any]:
        described = self._describe(found(run.id, self._path(run), run, has_report=True))
        return {**described, "problem": self.plain(described["problem"])}
