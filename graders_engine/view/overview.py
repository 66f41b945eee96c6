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
from graders_engine.dataset.results.meta import meta_path, read_meta
from graders_engine.errors import DataSetError
from graders_engine.files import without_paths
from graders_engine.report.provenance import Provenance
from graders_engine.view.context import Request, StillReading, View
from graders_engine.view.folders.lines import Written, last_write
from graders_engine.view.opened import OpenRun
from graders_engine.view.overview_sections import Asked, numbers_and_sections
from graders_engine.view.regrading import grader_of
from graders_engine.view.searching.folding import Child, Stopped

KEPT = 64
"""Overviews that are kept until their files change."""
MADE_TOGETHER = 2
"""Overviews that are made at a time: each may take the memory of a large run."""
IN_PLACE_BYTES = 8 << 20
"""Results that are no larger are read in this process: to start another one would take as long."""
COMMAND = (sys.executable, "-P", "-m", "graders_engine.view.overview_sections")
"""The process that reads larger ones."""
WAIT_S = 1.0
"""How long a request waits for one; it asks again then."""
LONGEST_S = 600.0
"""How long such a process may take."""
Files = tuple[Written | None, Written | None]
"""Results and what says what gave them, as they were."""


class Overviews:
    """The overviews of runs; each is made once, behind, and then kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[object, Future[dict[str, Any]]] = OrderedDict()
        self._making: set[Future[dict[str, Any]]] = set()
        self._lock = threading.Lock()

    def answer(self, view: View, request: Request) -> dict[str, Any]:
        """`GET api/runs/{run}`."""
        run = view.opened(request)
        if not run.is_current:  # it is read again: half of the answer would be of the file before
            raise _still(run)
        run_id = request.path["run"]
        made = self._made(view, run, run_id)
        grader = grader_of(run.meta, view.settings)
        needs = grader.needs
        provenance = Provenance(run.path, run.meta, view.data)
        problem = _data_problem(run, provenance)
        if made["sections_below_reason"] and not problem:  # the texts have come since
            made = self._made(view, run, run_id, with_texts=True)
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

    def _made(
        self, view: View, run: OpenRun, run_id: str, *, with_texts: bool = False
    ) -> dict[str, Any]:
        """The numbers and sections of a run.

        Args:
            view: the page.
            run: which is open.
            run_id: the run's name on the page.
            with_texts: whether those do not count that were made before there were texts.

        Raises:
            StillReading: they are being made, or wait for their turn.
        """
        files = _files_of(run)
        key = (run_id, run.path, view.data, files, with_texts)
        with self._lock:
            if (future := self._kept.get(key)) is None:
                future = self._begun(key, view, run, run_id, files)
            self._kept.move_to_end(key)
        try:
            return future.result(WAIT_S)
        except Exception:
            if not future.done() or future.exception() is None:
                raise _still(run) from None
            with self._lock:
                self._kept.pop(key, None)  # what failed may go well the next time
            raise

    def _begun(
        self, key: object, view: View, run: OpenRun, run_id: str, files: Files
    ) -> Future[dict[str, Any]]:
        """An overview that is begun now.

        Raises:
            StillReading: as many others are being made as may be at a time.
        """
        self._making = {future for future in self._making if not future.done()}
        if len(self._making) >= MADE_TOGETHER:
            raise _still(run)
        future: Future[dict[str, Any]] = Future()
        self._kept[key] = future
        self._making.add(future)
        threading.Thread(
            target=_make,
            args=(future, view, run, run_id, files),
            name="graders-view-overview",
            daemon=True,
        ).start()
        for other in [*self._kept][:-KEPT]:
            if self._kept[other] not in self._making:
                del self._kept[other]
        return future


def _still(run: OpenRun) -> StillReading:
    found = last_write(lines_of(run.path))
    return StillReading(0, 0 if found is None else found.size)


def _files_of(run: OpenRun) -> Files:
    lines = lines_of(run.path)
    return last_write(lines), last_write(meta_path(lines))


def _make(
    future: Future[dict[str, Any]], view: View, run: OpenRun, run_id: str, files: Files
) -> None:
    try:
        data = None if view.data is None else str(view.data)
        asked = Asked(str(run.path), read_meta(run.path), data, run_id)
        small = lines_of(run.path).stat().st_size <= IN_PLACE_BYTES
        made = numbers_and_sections(asked) if small else _of_a_child(asked)
        if _differs(files, _files_of(run)):
            raise _still(run)
        future.set_result(made)
    except BaseException as error:  # noqa: BLE001 - those who wait for the result get it
        future.set_exception(error)


def _differs(before: Files, now: Files) -> bool:
    """Whether files are other ones than before; results that only grew are not."""
    (lines, meta), (lines_now, meta_now) = before, now
    if lines is None or lines_now is None or meta != meta_now:  # it is gone, or another one
        return True
    return lines != lines_now and not lines.has_only_grown(lines_now)


def _of_a_child(asked: Asked) -> dict[str, Any]:
    """What another process makes, which takes its memory with it.

    Raises:
        DataSetError: the results cannot be read, or the process ended early, or takes too long.
    """
    child = Child(COMMAND, asked._asdict())
    try:
        for answer in child.answers(LONGEST_S):
            if isinstance(answer, str):
                raise DataSetError(answer)
            found: dict[str, Any] = answer
            return found
    except Stopped:
        why = f"took more than {LONGEST_S:g} s"
    else:
        why = "ended early"
    finally:
        child.stop()
    raise DataSetError(f"The process that read {asked.path} for its overview {why}.")


def _data_problem(run: OpenRun, provenance: Provenance) -> str:
    try:
        problem = run.data_problem
    except DataSetError as error:
        problem = str(error)
    return without_paths(provenance.without_folders(problem))


def _data_bytes(run: OpenRun) -> int | None:
    """The bytes of the data set's lines; None if it cannot be read."""
    try:
        return int(run.data_texts.data().starts[-1])
    except DataSetError:
        return None
