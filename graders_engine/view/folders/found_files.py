"""The files in what was opened: which are runs, also those that only a store knows, and which are others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from graders_engine.evals.run.place import RESULTS
from graders_engine.storage.listed_runs import ListedRun
from graders_engine.storage.store import DATABASE
from graders_engine.storage.unopened import runs_in
from graders_engine.view.folders.eval_runs import MAX_CHARS, created, eval_json
from graders_engine.view.folders.found import Found
from graders_engine.view.folders.other_files import kind_of_file
from graders_engine.view.folders.places import Opened, Places, files_in

META = ".meta.json"
RUNS = "runs"
"""The folder of a store in which each run has one."""
LEADS_OUT = "It is a link that leads out of what was opened."


class FoundFiles:
    """What is in the opened folders now.

    Args:
        places: what was opened.
        limit: how many runs of a store are read.

    Attributes:
        runs: the runs.
        others: of each other file that is of use: its name in addresses, its path, and what it is.
        stores: the folders of stores.
        is_cut: whether not all files were looked at.
    """

    def __init__(self, places: Places, limit: int) -> None:
        self._places, self._limit = places, limit
        self.runs: list[Found] = []
        self.others: list[tuple[str, Path, str]] = []
        self.stores: list[Path] = []
        self.is_cut = False
        for place in places.all:
            self._look_into(place)

    def _look_into(self, place: Opened) -> None:
        metas: list[Path] = []
        rest: list[Path] = []
        stores: dict[Path, dict[str, ListedRun]] = {}
        for entry in files_in(place):
            if entry is None:
                self.is_cut = True
                break
            path = Path(entry.path)
            if not _is_text(entry.path):
                continue  # bytes that are no text cannot stand in an address
            if entry.name == DATABASE and not place.only:
                stores[path.parent] = {run.id: run for run in runs_in(path.parent, self._limit)}
            elif entry.name.endswith(META):
                metas.append(path)
            elif not place.only or entry.name == place.only:
                rest.append(path)
        self.stores += stores
        paths = [Path(str(meta).removesuffix(META)) for meta in metas]
        if place.only:
            paths = [path for path in paths if path.name == place.only]
        self._sort(place, dict.fromkeys(paths), rest, stores)

    def _sort(
        self,
        place: Opened,
        runs: dict[Path, None],
        rest: list[Path],
        stores: Mapping[Path, Mapping[str, ListedRun]],
    ) -> None:
        """Keep what is of use.

        Args:
            place: where all of it is.
            runs: results, with or without a file: something describes them.
            rest: other files.
            stores: the runs of each store.
        """
        described = set(runs)
        for path in rest:
            if path in described:
                continue
            kind = kind_of_file(path)
            if kind == "results":
                runs[path] = None
            elif kind:
                self.others.append((self._places.name(place, path), path, kind))
        for path in _without_results(stores, runs):
            if self._places.holds(path):
                runs[path] = None
        for path in runs:
            run = stores.get(path.parent.parent.parent, {}).get(path.parent.name)
            self.runs.append(
                found(
                    self._places.name(place, path),
                    path,
                    run if _is_of_store(path) else None,
                    problem="" if place.has_all_of(path) else LEADS_OUT,
                )
            )


def _without_results(
    stores: Mapping[Path, Mapping[str, ListedRun]], runs: Mapping[Path, None]
) -> Iterator[Path]:
    """Where the results of a store's runs would be that have none."""
    for folder, stored in stores.items():
        for run_id in stored:
            path = folder / RUNS / run_id / RESULTS
            if path not in runs:
                yield path


def found(
    name: str, path: Path, run: ListedRun | None, *, has_report: bool = False, problem: str = ""
) -> Found:
    """A run that was found.

    Args:
        name: in addresses.
        path: its results file.
        run: what the store says of it; None for a run of no store.
        has_report: whether the server that answers has the page of such a run.
        problem: why it is not read; empty if it is.
    """
    if run is None:
        return Found(name, path, name, problem=problem)
    return Found(
        name,
        path,
        run.label[:MAX_CHARS],
        run.model[:MAX_CHARS],
        "eval",
        problem,
        eval_json(run, path.parent, has_report=has_report),
        created(run),
    )


def stored_run(places: Places, path: Path) -> ListedRun | None:
    """What a store that was opened says of the run with these results; None if none knows it."""
    folder = path.parent.parent.parent
    if not _is_of_store(path) or not places.holds(folder / DATABASE):
        return None
    return next(iter(runs_in(folder, 1, path.parent.name)), None)


def _is_of_store(path: Path) -> bool:
    """Whether results stand where a store keeps those of its runs."""
    return path.name == RESULTS and path.parent.parent.name == RUNS


def _is_text(name: str) -> bool:
    """Whether a file's name is text, and not bytes that are none."""
    return not any("\ud800" <= char <= "\udfff" for char in name)
