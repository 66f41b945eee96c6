"""A run in a list: what it is, how far it is, and its numbers as far as they are known."""

from __future__ import annotations

import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from graders_engine.dataset.results.companions import lock_path
from graders_engine.dataset.results.data import data_path
from graders_engine.dataset.results.meta import is_complete, meta_path, read_meta
from graders_engine.errors import DataSetError
from graders_engine.files import kind_of
from graders_engine.report.run_json import estimate_json
from graders_engine.view.reading import Headline, headline, read
from graders_engine.view.summary import Summary

KEPT = 4000
"""Runs whose description is kept until their files change."""
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


class Known(NamedTuple):
    """What came of reading a results file.

    Attributes:
        stamp: of the file then.
        problem: why it could not be read; empty if it could.
        numbers: its numbers; None if it could not.
    """

    stamp: tuple[int, int]
    problem: str = ""
    numbers: Headline | None = None


class Filling:
    """Reads runs one by one, behind the requests, so that their numbers are known."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: OrderedDict[Path, tuple[int, int]] = OrderedDict()
        self._known: dict[Path, Known] = {}
        self._running = False

    def known(self, path: Path, stamp: tuple[int, int]) -> Known | None:
        """What came of reading a file the last time; unless it is as it was then, it is read again."""
        with self._lock:
            known = self._known.get(path)
            if known is None or known.stamp != stamp:
                self._waiting[path] = stamp
                if not self._running:
                    self._running = True
                    threading.Thread(
                        target=self._read_all, name="graders-view-fill", daemon=True
                    ).start()
        return known

    def _read_all(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running = False
                    return
                path, stamp = self._waiting.popitem(last=False)
            try:
                found = Known(stamp, numbers=_headline(read(path, _unheard).summary))
            except DataSetError as error:
                found = Known(stamp, str(error))
            except Exception as error:  # noqa: BLE001 - said of this run: the others are still to be read
                found = Known(
                    stamp, f"The results cannot be read: {error or type(error).__name__}."
                )
            with self._lock:
                self._known[path] = found


def _unheard(done: int, of: int) -> None:
    """Nobody waits for the progress."""


def _headline(summary: Summary) -> Headline:
    bars = [
        bar.scored + bar.invalid + bar.failed for bar in summary.histogram if bar.low is not None
    ]
    statuses = summary.statuses
    return Headline(summary.rows, summary.mean, statuses["invalid"], statuses["failed"], bars)


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
        stamps = (
            last_write(found.path),
            last_write(meta_path(found.path)),
            last_write(lock_path(found.path)),
        )
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
            known = self._filling.known(found.path, stamp)
            if known is not None and known.problem and known.stamp == stamp:
                return {**empty, "state": "broken", "problem": known.problem}, True
            if state != "running":
                return {**empty, "state": "unread"}, False
            numbers = known.numbers if known is not None else None
        if numbers is None:
            return {**empty, "state": state}, False
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
    stamp = last_write(path)
    # What the system makes up as it is read has no size, and may have no end.
    return _lines(path, stamp) if stamp and 0 < stamp[1] <= MAX_COUNTED_BYTES else None


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


def last_write(path: Path) -> tuple[int, int] | None:
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
