"""The runs that can be looked at: those in opened folders, or those that a server keeps."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from graders_engine.dataset.results.meta import meta_path
from graders_engine.errors import Mistake
from graders_engine.server.responses import Refused
from graders_engine.storage.names import RunName, names_of_runs, run_name
from graders_engine.storage.runs import ListedRun
from graders_engine.storage.store import DATABASE, Store
from graders_engine.view.folders.found import Describing, Filling, Found
from graders_engine.view.folders.other_files import kind_of_file
from graders_engine.view.folders.places import Opened, Places, files_in, unknown

META = ".meta.json"
RESULTS = "results.jsonl"
"""The results of a run that a server keeps, in its folder."""
MAX_RUNS, MAX_OTHERS = 2000, 200
"""Runs, and other files, in a list."""
_FILE_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]{1,120}\.(json|ya?ml)", re.IGNORECASE)


class RunSource(Protocol):
    """The runs that somebody may see; threads may share it."""

    def listing(self) -> dict[str, Any]:
        """What can be opened: `runs`, `others` and `folders` of the JSON."""
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

    def data_set(self, name: str) -> Path:
        """A data set by its name.

        Raises:
            Refused: there is no such file.
        """
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

    def listing(self) -> dict[str, Any]:
        """What can be opened, the newest run first."""
        runs: list[dict[str, Any]] = []
        others: list[dict[str, str]] = []
        for place in self._places.all:
            found, rest = self._found(place)
            runs += [self._plain(self._describe(run)) for run in found[: MAX_RUNS - len(runs)]]
            ours = {run.path for run in found}
            for path in rest:
                kind = "" if path in ours or len(others) >= MAX_OTHERS else kind_of_file(path)
                if kind:
                    others.append({"path": self._places.name(place, path), "kind": kind})
        runs.sort(key=lambda run: run["when"] or "", reverse=True)
        folders = [place.given for place in self._places.all]
        return {"runs": runs, "others": others, "folders": folders}

    def results(self, run: str) -> Path:
        """The results file of a run."""
        return self._places.find_run(run)

    def run_json(self, run: str) -> dict[str, Any]:
        """A run with its numbers."""
        path = self.results(run)
        folder = path.parent.parent.parent
        names = names_of_runs(folder) if (folder / DATABASE).is_file() else {}
        return self._plain(self._describe(_found(run, path, names.get(path.parent.name))))

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

    def _found(self, place: Opened) -> tuple[list[Found], list[Path]]:
        """The runs of a place, and its other files."""
        metas: list[Path] = []
        rest: list[Path] = []
        stores: dict[Path, Mapping[str, RunName]] = {}
        for entry in files_in(place):
            path = Path(entry.path)
            if not _is_text(entry.path):
                continue  # bytes that are no text cannot stand in an address
            if entry.name == DATABASE:
                stores[path.parent] = names_of_runs(path.parent)
            elif entry.name.endswith(META):
                metas.append(path)
            elif not place.only or entry.name == place.only:
                rest.append(path)
        return [*self._runs(place, metas, stores)], rest

    def _runs(
        self, place: Opened, metas: list[Path], stores: Mapping[Path, Mapping[str, RunName]]
    ) -> Iterator[Found]:
        for meta in metas:
            path = Path(str(meta).removesuffix(META))
            if (place.only and path.name != place.only) or not place.has_all_of(path):
                continue
            names = stores.get(path.parent.parent.parent, {})
            yield _found(self._places.name(place, path), path, names.get(path.parent.name))


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
        runs = self._store.runs.newest(self._project, MAX_RUNS)
        return {"runs": [self._run_json(run) for run in runs], "others": [], "folders": []}

    def results(self, run: str) -> Path:
        """The results file of a run."""
        return self._path(self._of(run))

    def run_json(self, run: str) -> dict[str, Any]:
        """A run with its numbers."""
        return self._run_json(self._of(run))

    def data_set(self, name: str) -> Path:
        """A server's page opens no data sets."""
        raise unknown(name)

    def new_file(self, beside: str, name: str) -> Path:
        """A server's page writes no files."""
        message = (
            "Nothing can be saved on this server: open the folder with `graders view` instead."
        )
        raise Refused(403, Mistake(message, code="read_only"))

    def plain(self, text: str) -> str:
        """A sentence without the folder of the store."""
        return text.replace(f"{self._store.folder}{os.sep}", "")

    def _of(self, run_id: str) -> ListedRun:
        found = self._store.runs.listed(self._project, run_id)
        if found is None:
            raise unknown(run_id)
        return found

    def _path(self, run: ListedRun) -> Path:
        return self._store.run_folder(run.id) / RESULTS

    def _run_json(self, run: ListedRun) -> dict[str, Any]:
        name = run_name(run.id, run.eval_name, run.name, run.model)
        described = dict(self._describe(_found(run.id, self._path(run), name)))
        if described["state"] == "broken" and not meta_path(self._path(run)).exists():
            described |= {
                "state": "unread",
                "problem": f"The run is {run.status}; it has no results.",
            }
        return {**described, "problem": self.plain(described["problem"])}


def _found(run: str, path: Path, named: RunName | None) -> Found:
    if named is None:
        return Found(run, path, run)
    return Found(run, path, named.name, named.model, "eval")


def _is_text(name: str) -> bool:
    """Whether a file's name is text, and not bytes that are none."""
    return not any("\ud800" <= char <= "\udfff" for char in name)
