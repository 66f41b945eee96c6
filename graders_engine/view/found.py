"""A run in a list: what it is, how far it is, and its numbers as far as they are known."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from graders_engine.dataset.results.companions import lock_path
from graders_engine.dataset.results.data import data_path
from graders_engine.dataset.results.meta import is_complete, meta_path, read_meta
from graders_engine.errors import DataSetError
from graders_engine.files import kind_of
from graders_engine.view.opened import RunCache
from graders_engine.view.reading import headline
from graders_engine.view.summary import estimate_json

KEPT = 4000
"""Runs whose description is kept until their files change."""
POLL_S = 0.05
MAX_COUNTED_BYTES = 256 << 20
"""The lines of a larger data set are not counted."""
LOCKS = Path("/proc/locks")
"""Where Linux lists the locks: looking there disturbs no run that takes one."""


@dataclass(frozen=True, slots=True)
class Found:
    """A run that was found.

    Attributes:
        id: as addresses name it.
        path: its results file.
        name: for people.
        model: that was sampled; empty if that is not known.
        kind: "score", or "eval" for a run of an eval.
    """

    id: str
    path: Path
    name: str
    model: str = ""
    kind: str = "score"


class Filling:
    """Reads runs one by one, behind the requests, so that their numbers are known.

    Args:
        cache: opens them.
        data: where the data set is now, if it was moved.
    """

    def __init__(self, cache: RunCache, data: Path | None = None) -> None:
        self._cache, self._data = cache, data
        self._lock = threading.Lock()
        self._waiting: OrderedDict[Path, tuple[int, int]] = OrderedDict()
        self._ended: dict[Path, tuple[tuple[int, int], str]] = {}
        self._running = False

    def problem(self, path: Path, stamp: tuple[int, int]) -> str | None:
        """Why a file could not be read; None if it was not tried yet: then it will be."""
        with self._lock:
            ended = self._ended.get(path)
            if ended is not None and ended[0] == stamp:
                return ended[1]
            self._waiting[path] = stamp
            if not self._running:
                self._running = True
                threading.Thread(
                    target=self._read_all, name="graders-view-fill", daemon=True
                ).start()
        return None

    def _read_all(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running = False
                    return
                path, stamp = self._waiting.popitem(last=False)
            problem = ""
            try:
                run = self._cache.open(path, self._data)
                while run.ready():
                    time.sleep(POLL_S)
            except DataSetError as error:
                problem = str(error)
            with self._lock:
                self._ended[path] = stamp, problem


class Describing:
    """Describes runs; what did not change is not read again.

    Args:
        filling: reads those that were not read yet.
    """

    def __init__(self, filling: Filling) -> None:
        self._filling = filling
        self._kept: OrderedDict[Path, tuple[object, dict[str, Any]]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, found: Found) -> dict[str, Any]:
        """The run as JSON, with `problem` as it was raised."""
        stamps = _stamp(found.path), _stamp(meta_path(found.path)), _stamp(lock_path(found.path))
        key = (*stamps, found)
        with self._lock:
            kept = self._kept.get(found.path)
        if kept is not None and kept[0] == key:
            return kept[1]
        described, is_final = self._describe(found, stamps[0])
        if is_final:
            with self._lock:
                self._kept[found.path] = key, described
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
        return described

    def _describe(self, found: Found, stamp: tuple[int, int] | None) -> tuple[dict[str, Any], bool]:
        """The description, and whether it stays so while the files do."""
        empty = _empty(found)
        try:
            meta = read_meta(found.path)
        except DataSetError as error:
            return {**empty, "state": "broken", "problem": str(error)}, True
        empty |= {"grader": _grader(meta)}
        if stamp is None:
            problem = "There is no results file beside what describes it."
            return {**empty, "state": "broken", "problem": problem}, True
        empty |= {"when": datetime.fromtimestamp(stamp[0] / 1e9, UTC).isoformat(timespec="seconds")}
        state = self._state(found.path, meta)
        if state != "complete":
            empty |= {"of": planned_rows(meta)}
        numbers = headline(found.path)
        if numbers is None:
            if why := self._filling.problem(found.path, stamp):
                return {**empty, "state": "broken", "problem": why}, True
            return {**empty, "state": "running" if state == "running" else "unread"}, False
        return {
            **empty,
            "state": state,
            "rows": numbers.rows,
            "mean": estimate_json(numbers.mean),
            "invalid": numbers.invalid,
            "failed": numbers.failed,
            "bars": numbers.bars,
        }, state != "running"

    def _state(self, path: Path, meta: Mapping[str, Any]) -> str:
        if is_complete(meta) is not False:
            return "complete"
        return "running" if is_locked(lock_path(path)) else "unfinished"


def is_locked(lock: Path) -> bool:
    """Whether a run holds a lock, without taking it."""
    try:
        inode = os.stat(lock).st_ino
        held = LOCKS.read_text(encoding="ascii", errors="replace")
    except OSError:
        return sys.platform != "linux" and lock.exists()
    return any(
        fields[1] in ("FLOCK", "OFDLCK", "POSIX") and fields[5].endswith(f":{inode}")
        for line in held.splitlines()
        if len(fields := line.split()) > 5
    )


def planned_rows(meta: Mapping[str, Any]) -> int | None:
    """How many rows a run will have, where that can be counted fast: a line of a plain file each."""
    data = meta.get("data", {})
    plain = data.get("form") == "jsonl" and meta.get("settings", {}).get("shape") in (None, "rows")
    path = data_path(meta)
    if not plain or data.get("outputs") or path is None:
        return None
    stamp = _stamp(path)
    return None if stamp is None or stamp[1] > MAX_COUNTED_BYTES else _lines(path, stamp)


@lru_cache(64)
def _lines(path: Path, _stamp: tuple[int, int]) -> int | None:
    """The lines of a file that are not empty."""
    try:
        if kind_of(path):
            return None
        with path.open("rb") as file:
            return sum(1 for line in file if not line.isspace())
    except OSError:
        return None


def _stamp(path: Path) -> tuple[int, int] | None:
    """When a file was written to, in nanoseconds, and its size; None if there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _grader(meta: Mapping[str, Any]) -> dict[str, str] | None:
    grader = meta.get("grader")
    if not isinstance(grader, dict) or not grader:
        return None
    return {"name": str(grader.get("name") or ""), "type": str(grader.get("type") or "")}


def _empty(found: Found) -> dict[str, Any]:
    return {
        "run": found.id,
        "name": found.name,
        "grader": None,
        "model": found.model or None,
        "rows": None,
        "when": None,
        "state": "unread",
        "of": None,
        "mean": None,
        "invalid": None,
        "failed": None,
        "bars": None,
        "problem": "",
        "kind": found.kind,
    }
