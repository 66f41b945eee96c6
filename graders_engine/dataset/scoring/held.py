"""Hold results back while a run may have to be stopped for them; what is worth keeping is never lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import takewhile

from graders_engine.dataset.results.line import ResultLine, decode_result
from graders_engine.dataset.rows.shapes import Shape
from graders_engine.dataset.rows.shards import Shard
from graders_engine.dataset.scoring.early_stop import FirstRows, OutageWatch
from graders_engine.dataset.scoring.grading import ShardResults, rows_to_grade
from graders_engine.errors import GradersError, RunStopped

MAX_HELD = 500
"""Graded rows that are held back behind one that failed: saved replies tell nothing about an outage."""
_ENDINGS = (KeyboardInterrupt, SystemExit, GradersError)


def held_back(
    results: Iterable[ResultLine],
    watch: OutageWatch,
    first: FirstRows | None,
    *,
    all_failed: bool = False,
) -> Iterator[ResultLine]:
    """The results, but those of an outage, and of first rows that all fail, only when it is over.

    When the run is stopped, the rows from the first one of the outage on get no result: the same command
    grades them again. However else it ends, only failed rows at the end get none.

    Args:
        results: of the rows, in their order.
        watch: of the grader that gives them.
        first: counts the first ones; None if there were others before them.
        all_failed: whether results of which none has a reward are of use, too.

    Raises:
        RunStopped: the other rows cannot be graded either.
    """
    held: deque[ResultLine] = deque()
    graded = 0  # of those that are held
    scored = False
    try:
        for result in results:
            failed = result.status == "failed"
            scored = scored or result.status == "scored"
            if first is not None and first.open:
                first.add(result)
            opening = first is not None and first.open
            holding = opening or (watch.failing and (failed or bool(held)))
            held.append(result)
            graded += not failed
            if holding and (opening or graded <= MAX_HELD):
                continue
            while held:
                yield held.popleft()
            graded = 0
        _require_use(first, watch, scored=scored or all_failed)
    except RunStopped:
        if first is None or not first.stopped:
            yield from takewhile(lambda result: result.status != "failed", held)
        raise
    except _ENDINGS:
        while held and held[-1].status == "failed":
            held.pop()
        yield from held
        raise
    yield from held


def _require_use(first: FirstRows | None, watch: OutageWatch, *, scored: bool) -> None:
    """Check at the end that the results are not worthless."""
    if first is not None:
        first.end()
    if not scored:
        watch.require_answer()


def shards_held_back(
    graded: Iterable[tuple[Shard, ShardResults]], first: FirstRows | None, shape: Shape
) -> Iterator[tuple[Shard, ShardResults]]:
    """Shards with their results; the first ones when it is clear that not all rows fail in the same way.

    Args:
        graded: the shards in their order.
        first: counts the first rows; None if there were others before them.
        shape: of the rows.

    Raises:
        RunStopped: the other rows cannot be graded either.
    """
    held: list[tuple[Shard, ShardResults]] = []
    try:
        for shard, results in graded:
            held.append((shard, results))
            if first is not None and first.open:
                _add_rows(first, shard, results, shape)
            if first is None or not first.open:
                yield from held
                held.clear()
        if first is not None:
            first.end()
    except RunStopped:
        raise
    except _ENDINGS:
        yield from held
        raise
    yield from held


def _add_rows(first: FirstRows, shard: Shard, results: ShardResults, shape: Shape) -> None:
    """Add the results of a shard, as far as they count as first ones."""
    lines = results.lines.splitlines()
    if lines and (result := decode_result(lines[0])).status == "scored":
        first.add(result)  # it ends the count, so that the shard needs not be read again
        return
    with shard.open() as reader:
        for line, ref in zip(lines, rows_to_grade(reader.rows(), shape), strict=True):
            first.see(ref)
            first.add(decode_result(line))
            if not first.open:
                return
