"""The overview of a run: its figures as JSON, and the report's sections as trees that a page builds from.

The sections are those of `graders report`, from the same templates: a figure cannot differ between the two.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from graders_engine.dataset.results.digest import digest
from graders_engine.dataset.results.line import lines_of
from graders_engine.dataset.results.meta import meta_path
from graders_engine.errors import DataSetError
from graders_engine.report.html.page import report_sections
from graders_engine.report.numbers import numbers_of
from graders_engine.report.provenance import Provenance
from graders_engine.report.row_texts import texts_of
from graders_engine.report.run_json import numbers_json
from graders_engine.view.context import Request, StillReading, View
from graders_engine.view.folders.lines import last_write
from graders_engine.view.opened import OpenRun
from graders_engine.view.regrading import grader_of
from graders_engine.view.trees import trees

KEPT = 8
"""Overviews that are kept until their files change."""
EQUAL_ITEMS = (
    "Rows have equal items, as the samples of one prompt do. On this page each row counts by itself, so the "
    "intervals are too narrow if they are such samples; graders report --group-by item counts the rows of an "
    "item as one draw."
)
"""What is said of a run whose rows have equal items."""
WHY_ABOVE = "The top of this page says why."
"""In place of what is wrong with the data set, which is said once."""
WAIT_S = 1.0
"""How long a request waits for one; it asks again then."""


class Overviews:
    """The overviews of runs; each is made once, in a thread of its own, and then kept."""

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
        return {
            "run": view.source(request).run_json(run_id),
            "keys": run.keys,
            "flags": run.flags,
            "grouped": run.grouped,
            "unit": "samples" if run.grouped else "rows",
            **made,
            "data": {
                "path": provenance.data,
                "problem": _data_problem(run, provenance),
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
        future.set_result(_numbers_and_sections(view, run, run_id))
    except BaseException as error:  # noqa: BLE001 - those who wait for the result get it
        future.set_exception(error)


def _numbers_and_sections(view: View, run: OpenRun, run_id: str) -> dict[str, Any]:
    meta = dict(run.meta)
    numbers = numbers_of(digest(run.path), meta)
    provenance = Provenance(run.path, meta, view.data)
    texts = texts_of(numbers.digest.extremes(), meta, view.data, file=run.path)
    said_above = texts.why_none and _data_problem(run, provenance)
    why_none = WHY_ABOVE if said_above else texts.why_none
    texts = replace(texts, equal_items=EQUAL_ITEMS, why_none=why_none)
    rows = rows_address(run_id)
    return {
        "samples_per_prompt": numbers.groups.sizes[1] if numbers.groups else None,
        "numbers": {**numbers_json(numbers, provenance), "results": run_id},
        "sections": [
            {"id": section.id, "heading": section.heading, "tree": ["div", {}, trees(html, rows)]}
            for section, html in report_sections(numbers, provenance, texts)
        ],
    }


def rows_address(run: str) -> str:
    """The address of a run's rows."""
    return f"/view/runs/{quote(run, safe='')}/rows"


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
