"""Reading a results file into the cache: once, and on from where it ended when it has grown."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from graders_engine.dataset.results.line import lines_of, results_in
from graders_engine.dataset.results.meta import REPORT, read_meta
from graders_engine.dataset.rows.file_state import FileState
from graders_engine.errors import DataSetError
from graders_engine.statistics.estimate import Estimate
from graders_engine.view import cache
from graders_engine.view.columns import ViewColumns
from graders_engine.view.loading.builder import Builder, read_results
from graders_engine.view.summary import Summary, summarise

Report = Callable[[int, int], object]
"""Called with the bytes that were read, and their number in all."""
_ODD = (KeyError, TypeError, ValueError, IndexError, AttributeError, OSError)
"""Raised by a cache that was damaged, or is removed meanwhile."""


class NotKept(DataSetError):
    """Raised when the cache cannot be written: the next time it may be."""


class Progress(NamedTuple):
    """How far a file that is read for the first time was read."""

    done_bytes: int
    of_bytes: int


class Headline(NamedTuple):
    """The numbers of a run for a list of runs.

    Attributes:
        rows: how many there are.
        mean: of the rewards that count; None without any.
        invalid: rows of this status.
        failed: rows of this status.
        bars: how many rows each bar of the histogram has.
    """

    rows: int
    mean: Estimate | None
    invalid: int
    failed: int
    bars: list[int]


class Read(NamedTuple):
    """A results file that was read.

    Attributes:
        stamp: `FileState.stamp` of the file then.
        columns: its numbers.
        summary: those of all rows.
    """

    stamp: list[int]
    columns: ViewColumns
    summary: Summary


def cache_name(path: Path) -> str:
    """The name of the cache's folder for a results file."""
    return cache.digest_of("results", os.path.realpath(lines_of(path)))


def stamp_of(path: Path) -> list[int]:
    """What no write to a results file leaves as it was.

    Raises:
        DataSetError: there is no such file, or it is none.
    """
    lines = lines_of(path)
    try:
        state = FileState.of(lines)
    except OSError:
        state = None
    if state is None:
        next(results_in(lines), None)  # says why
        raise DataSetError(f"{lines} is no file.")
    return state.stamp


def grew(before: list[int], now: list[int]) -> bool:
    """Whether a file of which there are two stamps may have become longer, and nothing else."""
    return before[:2] == now[:2] and before[2] < now[2]


_BASIS = ("grader", "data", "settings", REPORT)


def gives_the_same(meta: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether the same lines have the same numbers and texts by two records of what gave them."""
    return all(meta.get(key) == before.get(key) for key in _BASIS)


def headline(path: Path) -> Headline | None:
    """The numbers of a run, from the cache alone; None if the file was not read yet or has changed."""
    known = cache.known_of(cache_name(path))
    try:
        if known is None or known["stamp"] != stamp_of(path):
            return None
        if known["graded_by"] != _graded_by(read_meta(path)):
            return None
        found = Summary.from_json(known["summary"])
    except (*_ODD, DataSetError):
        return None
    bars = [bar for bar in found.histogram if bar.low is not None]
    return Headline(
        found.rows,
        found.mean,
        found.statuses["invalid"],
        found.statuses["failed"],
        [bar.scored + bar.invalid + bar.failed for bar in bars],
    )


def read(path: Path, report: Report) -> Read:
    """Read a results file, or take it from the cache.

    Args:
        path: the results file, of either format.
        report: called with the bytes that were read, and their number in all.

    Raises:
        DataSetError: it cannot be read, or is not a results file.
    """
    folder = cache.CacheFolder(cache_name(path))
    with _alone(folder.path, report) as tell:
        return _read(path, folder, tell)


def _read(path: Path, folder: cache.CacheFolder, report: Report) -> Read:
    meta, stamp, known = read_meta(path), stamp_of(path), folder.known()
    if known is not None and known.get("stamp") == stamp:
        try:
            columns = ViewColumns(path, meta, folder.path / known["folder"], known)
            return Read(stamp, columns, _summary_of(columns, folder, known))
        except _ODD:
            known = None
    try:
        return _build(path, meta, stamp, folder, _beginning(path, stamp, folder, known), report)
    except OSError as error:
        raise NotKept(
            f"The results cannot be kept in the cache: {folder.path}: {error.strerror or error}."
        ) from None


def _graded_by(meta: Mapping[str, Any]) -> str:
    """Stands for a grader, whose form says what rewards can be: intervals end there."""
    return cache.digest_of(meta.get("grader"))


def _summary_of(
    columns: ViewColumns, folder: cache.CacheFolder, known: Mapping[str, Any]
) -> Summary:
    """The numbers of all rows, as they are known; made again if what gave the rows is known only now."""
    graded_by = _graded_by(columns.meta)
    if known.get("graded_by") == graded_by:
        folder.touch()
        return Summary.from_json(known["summary"])
    summary = summarise(columns)
    facts = {"graded_by": graded_by, "summary": summary.as_json()}
    with suppress(OSError):  # the disk is full: it is made again
        folder.publish(columns.folder, {**known, **facts})
    return summary


class _Readers:
    """Those who want a file: one reads it, and then the others take it from the cache."""

    def __init__(self) -> None:
        self.turn = Lock()
        self.reports: list[Report] = []

    def tell(self, done: int, of: int) -> None:
        for report in list(self.reports):
            report(done, of)


_readers: dict[Path, _Readers] = {}
_readers_lock = Lock()


@contextmanager
def _alone(folder: Path, report: Report) -> Iterator[Report]:
    """Wait until nobody else in this process reads the file of a folder, and hear how far that is."""
    with _readers_lock:
        readers = _readers.setdefault(folder, _Readers())
        readers.reports.append(report)
    try:
        with readers.turn:
            yield readers.tell
    finally:
        with _readers_lock:
            readers.reports.remove(report)
            if not readers.reports:
                del _readers[folder]


def _beginning(
    path: Path, stamp: list[int], folder: cache.CacheFolder, known: Mapping[str, Any] | None
) -> tuple[Path, Mapping[str, Any]] | None:
    """What is known of the first lines of a file that has grown; None if it is another one."""
    try:
        if known is None or stamp[:2] != known["stamp"][:2] or stamp[2] < known["end"]:
            return None
        if cache.fingerprint(lines_of(path), known["end"]) != known["fingerprint"]:
            return None
        kept = folder.path / known["folder"]
        ViewColumns(path, {}, kept, known)
    except _ODD:
        return None
    return kept, known


def _build(
    path: Path,
    meta: dict[str, Any],
    stamp: list[int],
    folder: cache.CacheFolder,
    before: tuple[Path, Mapping[str, Any]] | None,
    report: Report,
) -> Read:
    made = folder.begin()
    size, lines = stamp[2], lines_of(path)
    start = 0 if before is None else int(before[1]["end"])
    report(start, size)
    try:
        builder = Builder(made, before)
        end = read_results(lines, builder, start, size, lambda done: report(done, size))
        known = builder.finish()
        columns = ViewColumns(path, meta, made, known)
        summary = summarise(columns)
        facts = {
            "stamp": stamp,
            "end": end,
            "fingerprint": cache.fingerprint(lines, end),
            "graded_by": _graded_by(meta),
            "summary": summary.as_json(),
        }
        folder.publish(made, {**known, **facts})
    except BaseException:
        folder.drop(made)
        raise
    return Read(stamp, columns, summary)
