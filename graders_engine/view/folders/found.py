"""A run in a list: what it is, how far it is, and its numbers as far as they are known."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from graders_engine.dataset.results.companions import lock_path
from graders_engine.dataset.results.data import data_path
from graders_engine.dataset.results.meta import is_complete, meta_path, read_meta
from graders_engine.errors import DataSetError
from graders_engine.evals.wire import ACTIVE
from graders_engine.report.run_json import estimate_json
from graders_engine.view.folders.lines import Written, is_cut, last_write, lines_in
from graders_engine.view.folders.locks import is_locked
from graders_engine.view.reading import Headline, headline, read
from graders_engine.view.summary import Summary

KEPT = 4000
"""Runs whose description is kept until their files change."""
UNDESCRIBED = (
    "No file beside it says which grader and data gave it, nor whether these are all of its rows."
)
CUT = "Its last line is cut off: the numbers are those of the lines before it, and rows may be missing."


@dataclass(frozen=True, slots=True)
class Found:
    """A run that was found.

    Attributes:
        id: as addresses name it.
        path: its results file.
        name: for people.
        model: that was sampled; empty if that is not known.
        kind: "score", or "eval" for a run of an eval.
        problem: why it is not read; empty if it is.
        eval: of a run of an eval, what its store says of it, as JSON; else None.
        created: when that was made.
    """

    id: str
    path: Path
    name: str
    model: str = ""
    kind: str = "score"
    problem: str = ""
    eval: Mapping[str, Any] | None = None
    created: str | None = None

    @property
    def is_going(self) -> bool:
        """Whether it is a run of an eval that has not ended."""
        return self.eval is not None and self.eval["status"] in ACTIVE


Stamps = tuple[Written | None, Written | None]
"""Of a results file, and of the one that says what gave it."""


class Known(NamedTuple):
    """What came of reading a results file.

    Attributes:
        stamps: of the file then, and of the one that says what gave it.
        problem: why it could not be read; empty if it could.
        numbers: its numbers; None if it could not.
    """

    stamps: Stamps
    problem: str = ""
    numbers: Headline | None = None


class Filling:
    """Reads runs one by one, behind the requests, so that their numbers are known."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: OrderedDict[Path, Stamps] = OrderedDict()
        self._known: dict[Path, Known] = {}
        self._running = False

    def known(self, path: Path, stamps: Stamps) -> Known | None:
        """What came of reading a file the last time; unless it is as it was then, it is read again."""
        with self._lock:
            known = self._known.get(path)
            if known is None or known.stamps != stamps:
                self._waiting[path] = stamps
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
                path, stamps = self._waiting.popitem(last=False)
            try:
                found = Known(stamps, numbers=_headline(read(path, _unheard).summary))
            except DataSetError as error:
                found = Known(stamps, str(error))
            except Exception as error:  # noqa: BLE001 - said of this run: the others are still to be read
                found = Known(
                    stamps, f"The results cannot be read: {error or type(error).__name__}."
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
        stamps = last_write(found.path), last_write(meta_path(found.path))
        key = (stamps, last_write(lock_path(found.path)), found)
        with self._lock:
            kept = self._kept.get(found.path)
        if kept is not None and kept[0] == key:
            return kept[1]
        described, is_final = self._describe(found, stamps)
        if is_final:
            with self._lock:
                self._kept[found.path] = key, described
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
        return described

    def _describe(self, found: Found, stamps: Stamps) -> tuple[dict[str, Any], bool]:
        """The description, and whether it stays so while the files do."""
        stamp, meta_stamp = stamps
        empty = _empty(found)
        if found.problem:
            return {**empty, "state": "broken", "problem": found.problem}, True
        try:
            meta = read_meta(found.path)
        except DataSetError as error:
            return {**empty, "state": "broken", "problem": str(error)}, True
        empty |= {"grader": _grader(meta)}
        if stamp is None and found.eval is not None:
            return {**empty, "state": "none"}, True
        if stamp is None:
            problem = "There is no results file beside what describes it."
            return {**empty, "state": "broken", "problem": problem}, True
        empty |= {"when": datetime.fromtimestamp(stamp.at / 1e9, UTC).isoformat(timespec="seconds")}
        state, empty["problem"] = _state(found, meta, has_meta=meta_stamp is not None)
        if state in ("running", "unfinished"):
            empty |= {"of": planned_rows(meta)}
        known = self._numbers(found.path, stamps, is_growing=state == "running")
        if known.problem:
            return {**empty, "state": "broken", "problem": known.problem}, True
        if (numbers := known.numbers) is None:
            return {**empty, "state": state if state == "running" else "unread"}, False
        return {
            **empty,
            "state": state,
            "rows": numbers.rows,
            "mean": estimate_json(numbers.mean),
            "invalid": numbers.invalid,
            "failed": numbers.failed,
            "bars": numbers.bars,
        }, state != "running"

    def _numbers(self, path: Path, stamps: Stamps, *, is_growing: bool) -> Known:
        """The numbers of a results file as it is now; of one that grows, those that were read last."""
        if (numbers := headline(path)) is not None:
            return Known(stamps, numbers=numbers)
        known = self._filling.known(path, stamps)
        if known is None or (known.stamps != stamps and not is_growing):
            return Known(stamps)
        return known if known.stamps == stamps else known._replace(problem="")


def _state(found: Found, meta: Mapping[str, Any], *, has_meta: bool) -> tuple[str, str]:
    """How far a run with results is, and what to say of that.

    What is not known to be whole is not "complete": "undescribed" without the file that would say so, "torn"
    where the last line is cut off although nothing writes it.
    """
    state = "complete" if has_meta else "undescribed"
    if is_complete(meta) is False:
        state = "running" if is_locked(lock_path(found.path)) else "unfinished"
    problem = "" if has_meta else UNDESCRIBED
    if state == "running" or found.is_going or not is_cut(found.path):
        return state, problem
    return "torn", " ".join(filter(None, (CUT, problem)))


def planned_rows(meta: Mapping[str, Any]) -> int | None:
    """How many rows a run will have, where that can be counted fast: a line of a plain file each."""
    data = meta.get("data", {})
    plain = data.get("form") == "jsonl" and meta.get("settings", {}).get("shape") in (None, "rows")
    path = data_path(meta)
    return (
        None if not plain or data.get("outputs") or not isinstance(path, Path) else lines_in(path)
    )


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
        "when": found.created,
        "state": "unread",
        "of": None,
        "mean": None,
        "invalid": None,
        "failed": None,
        "bars": None,
        "problem": "",
        "kind": found.kind,
        "eval": found.eval,
    }
