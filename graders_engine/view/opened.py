"""Runs that are open: their numbers, texts and searches."""

from __future__ import annotations

import shutil
import time
from collections.abc import Hashable, Mapping, Sequence
from copy import copy
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import numpy as np

from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.results.meta import read_meta
from graders_engine.dataset.rows.records import RowRef
from graders_engine.errors import DataSetError
from graders_engine.report.row_texts import RowKey, RowText
from graders_engine.statistics.estimate import special
from graders_engine.view.columns import ViewColumns
from graders_engine.view.loading.snapshot import Snapshot
from graders_engine.view.prompts import Prompts
from graders_engine.view.query import Query, require_names
from graders_engine.view.reading import NotKept, Progress, gives_the_same, grew, read, stamp_of
from graders_engine.view.searching.excerpt import Excerpt, excerpt_of, flags_excerpt
from graders_engine.view.searching.folding import Folding
from graders_engine.view.searching.terms import parse_terms
from graders_engine.view.selection import Selection, page_of
from graders_engine.view.summary import Summary
from graders_engine.view.texts import DataRows, RunTexts

_CHECKED_EVERY_S = 0.5
"""So often it is looked at whether the results have changed."""
_REST = 10
"""Between two readings of a file that grows, so many times as long as one takes."""
AHEAD_BYTES = 64 << 20
"""The texts of a data set that is no larger are made ready to be searched when the run is opened."""
_WAIT_S = 0.5
"""So long an answer waits for a file that is read for the first time."""


class OpenRun:
    """A run that is open. All methods may be called from any thread.

    Args:
        path: the results file, of either format.
        data: where the data set is now, if it was moved.

    Attributes:
        path: the results file.
    """

    def __init__(self, path: Path, data: Path | None = None) -> None:
        self.path, self._data = path, data
        self._lock = Lock()
        self._snapshot: Snapshot | None = None
        self._error: Exception | None = None
        self._reading = Progress(0, 0)
        self._thread: Thread | None = None
        self._ended, self._looked = Event(), -1e9
        self._failed_at: list[int] | None = None
        self._texts: RunTexts | None = None
        self._source: list[Any] = []
        self._folding: Folding | None = None
        self._closed, self._rests_until = False, 0.0
        self._replaced: list[Path] = []
        self._pinned: Snapshot | None = None

    def ready(self) -> Progress | None:
        """None if the run can be used; else how far it was read. It takes up what was added to the file.

        Raises:
            DataSetError: it is not a results file, or cannot be read.
        """
        self._look()
        if self._snapshot is None and self._error is None:
            self._ended.wait(_WAIT_S)
        if self._snapshot is not None:
            return None
        if self._error is not None:
            raise self._error
        return self._reading

    def _look(self) -> None:
        """Read the file behind, if it is not the one that was read."""
        with self._lock:
            now = time.monotonic()
            if self._thread is not None or now - self._looked < _CHECKED_EVERY_S:
                return
            self._looked = now
            try:
                stamp = stamp_of(self.path)
            except DataSetError as error:
                self._snapshot, self._error = None, error
                return
            snapshot = self._snapshot
            if snapshot is None and stamp == self._failed_at:
                return
            if snapshot is not None and stamp == snapshot.stamp:
                meta = read_meta(self.path)
                if gives_the_same(meta, snapshot.columns.meta):
                    snapshot.columns.meta = meta
                    return
            if snapshot is not None and now < self._rests_until and grew(snapshot.stamp, stamp):
                return
            self._ended.clear()
            self._thread = Thread(
                target=self._read, args=(stamp,), name="graders-view-read", daemon=True
            )
            self._thread.start()

    def _read(self, stamp: list[int]) -> None:
        def report(done: int, of: int) -> None:
            self._reading = Progress(done, of)

        before, started = self._snapshot, time.monotonic()
        try:
            found = read(self.path, report)
        except Exception as error:  # noqa: BLE001 - delivered: `ready` raises it
            # Others may not come again.
            final = isinstance(error, DataSetError) and not isinstance(error, NotKept)
            self._snapshot, self._error, self._failed_at = None, error, stamp if final else None
        else:
            self._snapshot = Snapshot(found, self._texts_of(found.columns.meta))
            self._error, self._failed_at = None, None
        finally:
            with self._lock:
                self._thread = None
            self._ended.set()
            now = time.monotonic()
            self._rests_until = now + _REST * (now - started)
        special()  # the first filter needs it
        if before is not None and self._snapshot is not None:
            before.searches.stop()
            if before.columns.folder != self._snapshot.columns.folder:
                self._replaced.append(before.columns.folder)
        for folder in self._replaced[:-1]:  # a request may still read the last one
            self._replaced.remove(folder)
            shutil.rmtree(folder, ignore_errors=True)

    def _texts_of(self, meta: Mapping[str, Any]) -> RunTexts:
        """The texts of the rows: the same while the results are of the same rows, read in the same way."""
        source = [meta.get(key) for key in ("data", "settings")]
        if self._texts is None or source != self._source:
            self._source = source
            self._texts = RunTexts(meta, self.path, self._data, self._fold_ahead)
            self._texts.prepare()
        return self._texts

    def _fold_ahead(self, data: DataRows) -> None:
        """Make the texts of a small data set ready to be searched before anybody asks for it."""
        if data.starts[-1] <= AHEAD_BYTES and not self._closed:
            self._folding = Folding.of(data)
            self._folding.start()

    def as_it_is(self) -> OpenRun:
        """The run for one request: of the same rows throughout, though the file changes."""
        found = copy(self)
        found._pinned = self._now()
        return found

    def _now(self) -> Snapshot:
        if self._pinned is not None:
            return self._pinned
        self.ready()
        if (snapshot := self._snapshot) is None:
            raise DataSetError(f"{self.path} is still being read.")
        return snapshot

    @property
    def is_current(self) -> bool:
        """Whether the file is the one that was read, though it may have grown, and what gave it, too.

        Raises:
            DataSetError: it cannot be read any more.
        """
        now, stamp = self._now(), stamp_of(self.path)
        same = stamp == now.stamp or grew(now.stamp, stamp)
        return same and gives_the_same(read_meta(self.path), now.columns.meta)

    @property
    def columns(self) -> ViewColumns:
        """The numbers, which serve wherever a `RunColumns` does."""
        return self._now().columns

    @property
    def meta(self) -> Mapping[str, Any]:
        """What gave the results."""
        return self._now().columns.meta

    @property
    def keys(self) -> list[str]:
        """The keys of the sub-rewards."""
        return self._now().columns.keys

    @property
    def flags(self) -> dict[str, int]:
        """How many rows have each flag."""
        return self._now().columns.flag_counts()

    @property
    def grouped(self) -> bool:
        """Whether rows are samples of prompts."""
        return self._now().columns.codes is not None

    @property
    def prompts(self) -> Prompts | None:
        """The prompts; None if rows are no samples of prompts."""
        return self._now().prompts

    def rows(self, query: Query) -> Selection:
        """The rows that a query asks for.

        A search of more than 300 ms continues behind; the same query again has what was found since.

        Raises:
            InvalidRequest: the run has no such sub-reward or flag, or the expression is none.
            DataSetError: it is still being read.
        """
        now = self._now()
        require_names(query, now.columns)
        terms = parse_terms(query.q)
        mask, state = now.mask(query), None
        key: Hashable = (query.filters, frozenset(terms))
        if terms:
            search = now.searches.ask(terms)
            state = search.state()
            if not state.done or state.problem:
                key = None  # more may be found
            mask = search.mask.copy() if mask is None else search.mask & mask
        order = now.order(query.sort, key, mask)
        count = len(now.columns) if order is None else len(order)
        summary = now.summary_of(key, mask)
        index = None if query.row is None else self.index_of(query.row)
        page = page_of(query, order, count, index)
        return Selection(order, count, query.per_page, page, summary, state)

    def summary_all(self) -> Summary:
        """The numbers of all rows."""
        return self._now().summary

    def index_of(self, row: RowKey) -> int | None:
        """As `ViewColumns.index_of`."""
        return self._now().columns.index_of(row)

    def name_of(self, index: int) -> str:
        """Its name: "68#2"."""
        return self._now().columns.name_of(index)

    def key_of(self, index: int) -> RowKey:
        """Its line and its number among the line's samples, or 0."""
        columns = self._now().columns
        return RowKey(int(columns.lines[index]), int(columns.numbers[index]))

    def siblings(self, index: int) -> list[int]:
        """All rows of its prompt, itself included, in the order of the file."""
        if (codes := self._now().columns.codes) is None:
            return [index]
        found: list[int] = np.flatnonzero(codes == codes[index]).tolist()
        return found

    def result(self, index: int) -> ResultLine:
        """The recorded line, read from the file.

        Raises:
            DataSetError: the file has changed.
        """
        return self._now().columns.result(index)

    def row(self, index: int) -> RowRef:
        """The row of the data set, as it is graded.

        Raises:
            DataSetError: the data was moved or changed, or is still being read.
        """
        return self.data_texts.row(*self.key_of(index))

    def texts(self, indexes: Sequence[int]) -> list[RowText]:
        """The whole texts of rows. The id is the item's, or else the name of its prompt if that is no line's.

        Raises:
            DataSetError: as for `row`.
        """
        columns = self._now().columns
        keys = [self.key_of(index) for index in indexes]
        found = self.data_texts.texts(keys)
        for at, (index, text) in enumerate(zip(indexes, found, strict=True)):
            if not text.id and columns.groups[index] < 0:
                group = columns.result(index).group or ""
                found[at] = text._replace(id="" if group == str(keys[at].line) else group)
        return found

    @property
    def data_texts(self) -> RunTexts:
        """The data set."""
        return self._now().texts

    @property
    def data_problem(self) -> str:
        """A sentence that says why there are no texts; empty if there are."""
        return self.data_texts.problem

    def excerpts(self, indexes: Sequence[int], query: Query) -> list[Excerpt]:
        """What to show of each row's texts: around the searched words, or the beginning of the sample.

        Raises:
            InvalidRequest: an expression of the search is none.
            DataSetError: as for `row`.
        """
        terms = parse_terms(query.q)
        found = []
        for index, text in zip(indexes, self.texts(indexes), strict=True):
            excerpt = excerpt_of(text, terms)
            if terms and not excerpt.marks and self.columns.flag_sets[index]:
                excerpt = flags_excerpt(self.result(index).flags, terms) or excerpt
            found.append(excerpt)
        return found

    def close(self) -> None:
        """End what runs behind."""
        self._closed = True
        if self._snapshot is not None:
            self._snapshot.searches.stop()
        if self._folding is not None:
            self._folding.release()
