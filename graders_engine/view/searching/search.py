"""Search: which rows have all words in their item, their sample, their flags' details or their name.

A search goes through the folded texts behind, segment by segment, and keeps what it has found; it ends when
nobody has asked for it for some seconds. A longer word reads only the rows of the shorter one again.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from threading import Event, Lock, Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graders_engine.errors import DataSetError
from graders_engine.files import reason_of
from graders_engine.statistics.estimate import Ints
from graders_engine.view.columns import ViewColumns
from graders_engine.view.query import FILE_ORDER, Mask, order_of, row_key
from graders_engine.view.searching.folded import Segment, having
from graders_engine.view.searching.folding import MATCHES, SILENT_S, Child, Folding, Stopped
from graders_engine.view.searching.terms import Term
from graders_engine.view.selection import SearchState
from graders_engine.view.texts import RunTexts

KEPT = 8
"""Searches whose rows a run keeps."""
UNWANTED_S = 5.0
"""A search ends when nobody has asked for it for so long."""
WAIT_S = 0.3
"""So long an answer waits for the end of a search."""
CPU_S = 5.0
"""So much processor time an expression may take for a few texts."""
_AGAIN_S = 2.0
"""After so long, a search for which texts were missing is tried again."""
_FEW = 2000
"""So many rows of a segment are looked at one by one."""
Hits = NDArray[np.bool_]
Rows = NDArray[np.integer[Any]]


class _Unwanted(Exception):
    """Raised when nobody has asked for a search for a while."""


class Search:
    """One search in one run.

    Args:
        terms: what a row must have.
        columns: the run.
        texts: its texts.
        base: rows that are known to hold all that have the terms; None for all.

    Attributes:
        mask: the rows that were found so far.
    """

    def __init__(
        self, terms: Sequence[Term], columns: ViewColumns, texts: RunTexts, base: Mask | None
    ) -> None:
        self.terms, self._columns, self._texts, self._base = tuple(terms), columns, texts, base
        self.mask: Mask = np.zeros(len(columns), bool)
        self._scanned, self._problem = 0, ""
        self._asked = time.monotonic()
        self._again_at = math.inf
        self._ended, self._complete = Event(), False
        self._folding: Folding | None = None
        self._children: dict[Term, Child] = {}
        self._thread = Thread(target=self._run, name="graders-view-search", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._ended.is_set()

    @property
    def complete(self) -> bool:
        """Whether it has seen all rows."""
        return self.done and self._complete

    def state(self, wait_s: float = WAIT_S) -> SearchState:
        """How far it has come, after waiting for its end at most so long."""
        self._asked = time.monotonic()
        self._ended.wait(wait_s)
        folding = self._folding
        rows = len(self._columns)
        return SearchState(
            self.done,
            rows if self.complete else self._scanned,
            rows,
            index=None if folding is None else folding.percent,
            problem=self._problem,
        )

    @property
    def worth_repeating(self) -> bool:
        """Whether it ended early for a reason that may have gone."""
        return self.done and time.monotonic() > self._again_at

    def stop(self) -> None:
        """End it, and at once the processes that try its expressions."""
        self._asked = -math.inf
        for child in list(self._children.values()):
            child.kill()

    def _run(self) -> None:
        try:
            self._search()
            self._complete = True
        except _Unwanted:
            self._problem, self._again_at = "The search was stopped.", 0.0
        except Stopped:
            self._problem = (
                f"The regular expression was stopped: it takes more than {CPU_S:g} s for a few texts. "
                f"{self._scanned:,} of {len(self._columns):,} rows were searched."
            )
        except DataSetError as error:
            self._problem = f"Only the flags' details were searched. {error}"
            self._again_at = time.monotonic() + _AGAIN_S
        except Exception as error:  # noqa: BLE001 - said with the rows that were found: else they would seem to be all
            self._problem = f"The search ended early: {reason_of(error)}."
            self._again_at = time.monotonic() + _AGAIN_S
        finally:
            for child in self._children.values():
                child.stop()
            if self._folding is not None:
                self._folding.release()
            self._ended.set()

    def _require_wanted(self) -> None:
        if time.monotonic() - self._asked > UNWANTED_S:
            raise _Unwanted

    def _search(self) -> None:
        for term in self.terms:
            if term.pattern:
                self._children[term] = Child(MATCHES, [term.pattern, CPU_S])
                self._require_wanted()
        outside = [self._outside(term) for term in self.terms]
        self.mask |= np.logical_and.reduce(outside)
        while not self._texts.wait(0.1):
            self._require_wanted()
        folding = Folding.of(self._texts.data())
        folding.start()
        self._folding = folding
        order = order_of(FILE_ORDER, self._columns)
        lines = self._columns.lines if order is None else self._columns.lines[order]
        edges = np.searchsorted(lines, folding.texts.bounds, side="right")
        for number in folding.order():
            low, high = edges[number : number + 2].tolist()
            rows = np.arange(low, high) if order is None else order[low:high]
            if self._base is not None:
                rows = rows[self._base[rows]]
            self._require_wanted()
            if len(rows):
                while not folding.wait(number, 0.1):
                    self._require_wanted()
                self._look(folding, number, folding.read(number), rows, outside)
            self._scanned += high - low

    def _outside(self, term: Term) -> Hits:
        """The rows that have a term in their flags' details or their name."""
        found = np.zeros(len(self._columns), bool)
        flagged = np.flatnonzero(self._columns.flag_sets)
        if len(flagged):
            if term.pattern:
                found[flagged] = self._matching(
                    term,
                    (str(self._columns.details_path), 0),
                    len(flagged),
                )
            else:
                text, starts = self._columns.details()
                found[flagged] = having(text, starts, term.word)
        if term.row_name and (key := row_key(term.row_name)):
            found |= (self._columns.lines == key.line) & (self._columns.numbers == key.sample)
        return found

    def _matching(self, term: Term, where: tuple[str, int], count: int) -> Hits:
        """The texts of a file that an expression matches."""
        child = self._children[term]
        child.ask(where)
        for answer in child.answers(SILENT_S):
            self._require_wanted()
            if answer is not None:
                hits = np.zeros(count, bool)
                hits[answer] = True
                return hits
        self._require_wanted()
        raise Stopped

    def _look(
        self,
        folding: Folding,
        number: int,
        segment: Segment,
        rows: Rows,
        outside: Sequence[Hits],
    ) -> None:
        """Look through one segment for some rows."""
        first = int(folding.texts.bounds[number]) + 1
        items = segment.firsts[self._columns.lines[rows] - first]
        samples = items + np.maximum(self._columns.numbers[rows], 1)
        there = (items >= 0) & (samples < len(segment.starts))
        rows, items, samples = rows[there], items[there], samples[there]
        for term, elsewhere in sorted(zip(self.terms, outside, strict=True), key=_frequency):
            if not len(rows):
                return
            if term.pattern:
                where = (str(folding.texts.path(number)), segment.begins)
                hits = self._matching(term, where, len(segment.starts))
            elif len(rows) <= _FEW:
                hits = _having_some(segment, term.word, np.concatenate((items, samples)))
            else:
                hits = segment.having(term.word)
            found = hits[items] | hits[samples] | elsewhere[rows]
            rows, items, samples = rows[found], items[found], samples[found]
        self.mask[rows] = True


def _frequency(asked: tuple[Term, Hits]) -> tuple[bool, bool, int]:
    """Sorts first what fewer texts are likely to have: the rest is looked for in those. Expressions last."""
    term, _ = asked
    return bool(term.pattern), term.word.isalpha(), -len(term.word)


def _having_some(segment: Segment, word: bytes, at: Ints) -> Hits:
    """As `Segment.having`, of some of the texts alone."""
    found = np.zeros(len(segment.starts), bool)
    for each in np.unique(at).tolist():
        found[each] = word in segment.one(each)
    return found


class Searches:
    """The searches of a run; those that were asked for last are kept.

    Args:
        columns: the run.
        texts: its texts.
    """

    def __init__(self, columns: ViewColumns, texts: RunTexts) -> None:
        self._columns, self._texts = columns, texts
        self._lock = Lock()
        self._found: OrderedDict[frozenset[Term], Search] = OrderedDict()

    def ask(self, terms: Sequence[Term]) -> Search:
        """The search for some terms, which is begun if it has not."""
        key = frozenset(terms)
        with self._lock:
            found = self._found.get(key)
            if found is None or found.worth_repeating:
                found = Search(terms, self._columns, self._texts, self._base(terms))
                self._found[key] = found
            self._found.move_to_end(key)
            while len(self._found) > KEPT:
                self._found.popitem(last=False)[1].stop()
            return found

    def _base(self, terms: Sequence[Term]) -> Mask | None:
        """The rows of the narrowest search that holds all that these terms have."""
        wider = [
            search.mask
            for search in self._found.values()
            if search.complete
            and all(any(term.implies(old) for term in terms) for old in search.terms)
        ]
        return min(wider, key=np.count_nonzero) if wider else None

    def stop(self) -> None:
        """End all."""
        with self._lock:
            for search in self._found.values():
                search.stop()
            self._found.clear()
