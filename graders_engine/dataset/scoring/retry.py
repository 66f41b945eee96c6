"""Rows that failed, tried again; their results are replaced all at once, or not at all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import msgspec

from graders_engine.dataset.results.file import ResultsFile
from graders_engine.dataset.results.line import ResultLine, decoded, encoded
from graders_engine.dataset.results.tally import Tally
from graders_engine.dataset.rows.shapes import ROWS, Shape
from graders_engine.dataset.scoring.grading import Place, places_of
from graders_engine.dataset.scoring.order import given_up, in_input_order
from graders_engine.dataset.scoring.shards import Shard, Shards, written
from graders_engine.dataset.scoring.workers import Workers
from graders_engine.errors import GradersError


def tried_again(
    grade: Callable[[Iterable[Place]], Iterator[ResultLine]],
    shape: Shape,
    shards: Shards,
    results: ResultsFile,
) -> Tally:
    """Grade the rows with status "failed" once more, and put what came of it in place of their results.

    An interrupt keeps what was tried till then, and the old results of the rest. A row that is no longer
    in the data set keeps its old result.

    Args:
        grade: what grades, in order.
        shape: how to take a raw row apart.
        shards: the whole data set.
        results: a result for each of its rows.

    Raises:
        DataSetError: the results cannot be written; the old ones are as they were.
    """
    tally = Tally()
    again = grade(_failed(shape, shards, results))
    stopped: BaseException | None = None

    def lines() -> Iterator[bytes]:
        nonlocal stopped
        for _, result in results.read():
            if result.status == "failed" and stopped is None:
                try:
                    result = next(again)
                except (KeyboardInterrupt, GradersError) as error:
                    stopped = error
            tally.add(result)
            yield encoded([result])

    results.replace(lines())
    if stopped is not None:
        raise stopped
    return tally


def _failed(shape: Shape, shards: Shards, results: ResultsFile) -> Iterator[Place]:
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
        for place in places_of(shard, shape):
            if place[:2] == wanted:
                yield place
                wanted = next(failed, None)


def graded_apart(start: Callable[[Shape], Workers], rows: Iterable[Place]) -> Iterator[ResultLine]:
    """Grade rows by workers, a row a shard: these may be the rows that workers die of.

    Args:
        start: makes the workers, for rows of a shape.
        rows: what to grade.
    """
    places: deque[Place] = deque()

    def shards() -> Iterator[Shard]:
        for number, place in enumerate(rows, 1):
            places.append(place)
            yield Shard(number, 1, 0, 0, rows=written(place[3]) + b"\n", marked=True)

    with start(ROWS) as workers:
        for _, scored in in_input_order(workers, shards(), lambda shard: given_up(shard, ROWS)):
            line, sample, group, _ = places.popleft()
            result = decoded(scored.results)
            yield msgspec.structs.replace(result, line=line, sample=sample, group=group)
