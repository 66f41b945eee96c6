"""Retry rows that failed; their results are replaced all at once, or not at all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import msgspec

from graders_engine.dataset.results.file import ResultsFile
from graders_engine.dataset.results.line import ResultLine, decode_result, encode_results
from graders_engine.dataset.results.tally import Tally
from graders_engine.dataset.rows.records import RowRef
from graders_engine.dataset.rows.shapes import ROWS, Shape
from graders_engine.dataset.rows.shards import Shard, Shards, encode_row
from graders_engine.dataset.scoring.grading import rows_to_grade
from graders_engine.dataset.scoring.order import failed_results, in_input_order
from graders_engine.dataset.scoring.workers import Workers
from graders_engine.errors import GradersError


def retry_rows(
    grade: Callable[[Iterable[RowRef]], Iterator[ResultLine]],
    shape: Shape,
    shards: Shards,
    results: ResultsFile,
) -> Tally:
    """Grade the rows with status "failed" once more, and replace their results.

    On interrupt, results retried so far are kept, and the old results of the rest. A row that is no longer
    in the data set keeps its old result.

    Args:
        grade: what grades, in order.
        shape: how the rows to grade are taken out of a raw row.
        shards: the whole data set.
        results: a result for each of its rows.

    Raises:
        DataSetError: the results cannot be written; the old ones are unchanged.
    """
    tally = Tally()
    graded = _UntilStopped(grade(_failed_rows(shape, shards, results)))
    retried = iter(graded)

    def lines() -> Iterator[bytes]:
        for _, result in results.read():
            if result.status == "failed":
                result = next(retried, result)
            tally.add(result)
            yield encode_results([result])

    results.replace(lines())
    if graded.stopped_by is not None:
        raise graded.stopped_by
    return tally


class _UntilStopped:
    """Ends at an interrupt, or at an error that ends the run, and keeps it for later."""

    def __init__(self, results: Iterator[ResultLine]) -> None:
        self._results = results
        self.stopped_by: BaseException | None = None

    def __iter__(self) -> Iterator[ResultLine]:
        try:
            yield from self._results
        except (KeyboardInterrupt, GradersError) as error:
            self.stopped_by = error


def _failed_rows(shape: Shape, shards: Shards, results: ResultsFile) -> Iterator[RowRef]:
    """The rows that failed, in order; shards without any are not read."""
    failed = (
        (result.line, result.sample) for _, result in results.read() if result.status == "failed"
    )
    wanted = next(failed, None)
    for shard in shards.rest():
        if wanted is None:
            return
        if wanted[0] > shard.last_line:
            continue
        with shard.open() as reader:
            for ref in rows_to_grade(reader.rows(), shape):
                if (ref.line, ref.sample) == wanted:
                    yield ref
                    wanted = next(failed, None)


def grade_one_by_one(
    start: Callable[[Shape], Workers], refs: Iterable[RowRef]
) -> Iterator[ResultLine]:
    """Grade rows by workers, each as a shard of its own: these may be the rows that kill workers.

    Args:
        start: makes the workers, for rows of a shape.
        refs: what to grade.
    """
    in_flight: deque[RowRef] = deque()

    def shards() -> Iterator[Shard]:
        for number, ref in enumerate(refs, 1):
            in_flight.append(ref)
            yield Shard(number, 1, 0, 0, rows=encode_row(ref.row) + b"\n", marked=True)

    with start(ROWS) as workers:
        for _, graded in in_input_order(workers, shards(), lambda one: failed_results(one, ROWS)):
            ref = in_flight.popleft()
            result = decode_result(graded.lines)
            yield msgspec.structs.replace(result, line=ref.line, sample=ref.sample, group=ref.group)
