"""The overview of a run: its figures as JSON, and the report's sections as trees that a page builds from.

The sections are those of `graders report`, from the same templates: a figure cannot differ between the two.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import Any

from graders_engine.dataset.results.line import lines_of
from graders_engine.dataset.results.meta import meta_path
from graders_engine.errors import DataSetError
from graders_engine.report.provenance import Provenance
from graders_engine.view.context import Request, StillReading, View
from graders_engine.view.folders.lines import last_write
from graders_engine.view.opened import OpenRun
from graders_engine.view.overview_sections import Asked, numbers_and_sections
from graders_engine.view.regrading import grader_of
from graders_engine.view.searching.folding import Child

KEPT = 8
"""Overviews that are kept until their files change."""
IN_PLACE_BYTES = 8 << 20
"""Results that are no larger are read in this process: to start another one would take as long."""
COMMAND = (sys.executable, "-P", "-m", "graders_engine.view.overview_sections")
"""The process that reads larger ones."""
WAIT_S = 1.0
"""How long a request waits for one; it asks again then."""


class Overviews:
    """The overviews of runs; each is made once, behind, and then kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[object, Future[dict[str, Any]]] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, view: View, request: Request) -> dict[str, Any]:
        """`GET api/runs/{run}`."""
        run = view.opened(request)
        run_id = request.path["run"]
        made = self._made(view, run, run_id)
        grader = grader_of(run.meta, view.settings)
        needs = grader.needs
        provenance = Provenance(run.path, run.meta, view.data)
        problem = _data_problem(run, provenance)
        below = made["sections_below_reason"]
        return {
            "run": view.source(request).run_json(run_id),
            "keys": run.keys,
            "flags": run.flags,
            "grouped": run.grouped,
            "unit": "samples" if run.grouped else "rows",
            "samples_per_prompt": made["samples_per_prompt"],
            "numbers": made["numbers"],
            "sections": below if problem and below else made["sections"],
            "data": {
                "path": provenance.data,
                "problem": problem,
                "bytes": _data_bytes(run),
            },
            "needs": {"judge": needs.judge, "python": needs.python, "endpoint": needs.endpoint},
            "grader": provenance.grader or None,
            "grader_problem": grader.problem,
        }

    def _made(self, view: View, run: OpenRun, run_id: str) -> dict[str, Any]:
        """The numbers and sections of a run.

        Raises:
            StillReading: they are being made.
        """
        path = lines_of(run.path)
        key = (run_id, path, view.data, last_write(path), last_write(meta_path(path)))
        with self._lock:
            if (future := self._kept.get(key)) is None:
                future = self._kept[key] = Future()
                threading.Thread(
                    target=_make,
                    args=(future, view, run, run_id),
                    name="graders-view-overview",
                    daemon=True,
                ).start()
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        try:
            return future.result(WAIT_S)
        except Exception:
            if not future.done() or future.exception() is None:
                raise StillReading(0, path.stat().st_size) from None
            with self._lock:
                self._kept.pop(key, None)  # what failed may go well the next time
            raise


def _make(future: Future[dict[str, Any]], view: View, run: OpenRun, run_id: str) -> None:
    try:
        data = None if view.data is None else str(view.data)
        asked = Asked(str(run.path), dict(run.meta), data, run_id)
        small = lines_of(run.path).stat().st_size <= IN_PLACE_BYTES
        future.set_result(numbers_and_sections(asked) if small else _of_a_child(asked))
    except BaseException as error:  # noqa: BLE001 - those who wait for the result get it
        future.set_exception(error)


def _of_a_child(asked: Asked) -> dict[str, Any]:
    """What another process makes, which takes its memory with it.

    Raises:
        DataSetError: the results cannot be read, or the process ended early.
    """
    child = Child(COMMAND, asked._asdict())
    try:
        for answer in child.answers():
            if isinstance(answer, str):
                raise DataSetError(answer)
            found: dict[str, Any] = answer
            return found
    finally:
        child.stop()
    raise DataSetError(f"The process that read {asked.path} for its overview ended early.")


def _data_problem(run: OpenRun, provenance: Provenance) -> str:
    try:
        problem = run.data_problem
    except DataSetError as error:
        problem = str(error)
    return provenance.without_folders(problem)


def _data_bytes(run: OpenRun) -> int | None:
    """The bytes of the data set's lines; None if it cannot be read."""
    try:
        return int(run.data_texts.data().starts[-1])
    except DataSetError:
        return None
