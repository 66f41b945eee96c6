"""Runs that are open: their numbers, texts and searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from graders_engine.dataset.results.columns import RunColumns
from graders_engine.dataset.results.line import ResultLine
from graders_engine.dataset.rows.records import RowRef
from graders_engine.outcome import Blame, Status
from graders_engine.report.row_texts import RowKey
from graders_engine.statistics.estimate import Estimate
from graders_engine.view.query import Query


class Reading(NamedTuple):
    """How far a file that is read for the first time was read."""

    done_bytes: int
    of_bytes: int


class SearchState(NamedTuple):
    """How far a search has come.

    Attributes:
        done: whether all rows were searched.
        scanned: rows that were searched.
        of: all rows that pass the other filters' run.
        about: whether the count is an estimate.
        index: per cent of the texts that are ready to be searched fast; None where they all are.
        problem: why the search ended early, or what it could not see; empty if nothing is wrong.
    """

    done: bool
    scanned: int
    of: int
    about: bool = False
    index: int | None = None
    problem: str = ""


class Bar(NamedTuple):
    """A bar of the histogram.

    Attributes:
        low, high: its ends; equal for a single value; None for the rows without a reward in the mean.
        range: what selects its rows: the value of `reward=` in an address; empty where nothing does.
        scored, invalid, failed: its rows.
    """

    low: float | None
    high: float | None
    range: str
    scored: int
    invalid: int
    failed: int


class SubMean(NamedTuple):
    """The mean of a sub-reward over the rows that have it."""

    value: float
    rows: int


class Summary(NamedTuple):
    """The numbers of some rows of a run, as `graders report --json` has those of all."""

    rows: int
    mean: Estimate | None
    statuses: dict[Status, int]
    blames: dict[Blame, int]
    histogram: list[Bar]
    sub_rewards: dict[str, SubMean]

    def as_json(self) -> dict[str, Any]:
        """As the routes send it."""
        raise NotImplementedError


class Excerpt(NamedTuple):
    """A piece of a row's text around what was searched for.

    Attributes:
        text: one line.
        marks: where the searched words are in it: [start, end].
        part: "sample", "item" or "flags".
        before, after: whether there is more text before and after.
    """

    text: str
    marks: list[tuple[int, int]]
    part: str
    before: bool
    after: bool

    def as_json(self) -> dict[str, Any]:
        """As the routes send it."""
        raise NotImplementedError


class RowText(NamedTuple):
    """The whole texts of a row, as the report has them."""

    id: str
    item: str
    sample: str


class Selection:
    """The rows that a query asks for, in its order.

    Attributes:
        count: how many.
        page: the number of the page that the query asks for, from 1.
        pages: how many there are, at least 1.
        summary: their numbers.
        search: how far the search has come; None without one.
    """

    count: int
    page: int
    pages: int
    summary: Summary
    search: SearchState | None

    def indexes(self, page: int | None = None) -> list[int]:
        """The rows of a page (by default the one that is asked for)."""
        raise NotImplementedError

    def all_indexes(self) -> list[int]:
        """All rows, in order."""
        raise NotImplementedError

    def position(self, index: int) -> int | None:
        """Where a row stands, from 0; None if it is not among them."""
        raise NotImplementedError

    def neighbours(self, index: int) -> tuple[int | None, int | None]:
        """The rows before and after a row; None at the ends, and for a row that is not among them."""
        raise NotImplementedError


class OpenRun:
    """A run that is open. All methods may be called from any thread.

    Attributes:
        path: the results file.
        meta: what gave the results.
        keys: of the sub-rewards.
        flags: how many rows have each flag.
        columns: the numbers (`view.columns.ViewColumns`), which serve wherever a `RunColumns` does.
        grouped: whether rows are samples of prompts.
    """

    path: Path
    meta: Mapping[str, Any]
    keys: list[str]
    flags: dict[str, int]
    columns: RunColumns
    grouped: bool

    def ready(self) -> Reading | None:
        """None if the run can be used; else how far it was read. It takes up what was added to the file.

        Raises:
            DataSetError: it is not a results file, or cannot be read.
        """
        raise NotImplementedError

    def rows(self, query: Query) -> Selection:
        """The rows that a query asks for.

        A search that takes longer than 300 ms goes on behind; the same query again has what was found since.

        Raises:
            InvalidRequest: the run has no such sub-reward, or the expression is none.
        """
        raise NotImplementedError

    def summary_all(self) -> Summary:
        """The numbers of all rows."""
        raise NotImplementedError

    def index_of(self, row: RowKey) -> int | None:
        """The index of a row; None if the results have none."""
        raise NotImplementedError

    def name_of(self, index: int) -> str:
        """Its name: "68#2"."""
        raise NotImplementedError

    def key_of(self, index: int) -> RowKey:
        """Its line and sample."""
        raise NotImplementedError

    def siblings(self, index: int) -> list[int]:
        """All rows of its prompt, itself included."""
        raise NotImplementedError

    def result(self, index: int) -> ResultLine:
        """The recorded line, read from the file."""
        raise NotImplementedError

    def row(self, index: int) -> RowRef:
        """The row of the data set, as it is graded.

        Raises:
            DataSetError: the data was moved or changed, or is still being prepared.
        """
        raise NotImplementedError

    def texts(self, indexes: Sequence[int]) -> list[RowText]:
        """The texts of rows; empty ones where `data_problem` says why.

        Raises:
            DataSetError: as for `row`.
        """
        raise NotImplementedError

    def excerpts(self, indexes: Sequence[int], query: Query) -> list[Excerpt | None]:
        """What to show of each row's texts: around the searched words, or the beginning of the sample.

        Raises:
            DataSetError: as for `row`.
        """
        raise NotImplementedError

    @property
    def data_problem(self) -> str:
        """A sentence that says why there are no texts; empty if there are."""
        raise NotImplementedError


class RunCache:
    """The runs that are open, at most four; the least recently used is closed."""

    def open(self, path: Path, data: Path | None = None) -> OpenRun:
        """Open a run; a file that is new is read behind (`OpenRun.ready`).

        Args:
            path: the results file.
            data: where the data set is now, if it was moved.

        Raises:
            DataSetError: there is no such file.
        """
        raise NotImplementedError


class Headline(NamedTuple):
    """The numbers of a run for a list of runs."""

    rows: int
    mean: Estimate | None
    invalid: int
    failed: int
    bars: list[int]


def headline(path: Path) -> Headline | None:
    """The numbers of a run, from the cache alone; None if the file was not read yet or has changed."""
    raise NotImplementedError
