"""Resume an earlier run: find out what is done, and check that the data is still the same."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from graders_engine.dataset.results.file import ResultsFile
from graders_engine.dataset.results.line import ResultLine, row_name
from graders_engine.dataset.results.meta import OVERWRITE_HINT
from graders_engine.dataset.results.shard_index import CompletedShard, completed, is_same
from graders_engine.dataset.results.tally import Tally
from graders_engine.dataset.rows.shards import Shards
from graders_engine.dataset.scoring.index import Index
from graders_engine.errors import DataSetError


def resume(results: ResultsFile, index: Index, shards: Shards, *, plain: bool) -> Tally:
    """Count the results that exist, and skip their lines in the data set.

    The results decide: lines that are missing from the index, because the run ended in between or the index
    was lost, are added to it. Shards whose results are incomplete are removed from it.

    Args:
        results: the results, ending with a whole line.
        index: which lines they came from.
        shards: the data set; afterwards it is at the first line to score.
        plain: whether a line of the data set has at most one result.

    Raises:
        DataSetError: the data is not what the results came from, a line of them is not a result, or is
            not in its place.
    """
    indexed = index.shards()
    counter = _ResultCounter(indexed)
    last_line = counter.read(results, plain=plain)
    covered = counted = 0
    for shard in indexed:
        if shard.last_line > last_line or shard.first_line != covered + 1:
            index.forget(shard)
            break
        _skip(results, shards, shard)
        covered, counted = shard.last_line, counted + shard.results
    if last_line > covered:
        missing = CompletedShard(covered + 1, last_line, 0, 0, counter.tally.rows - counted, "")
        index.add(_skip(results, shards, missing))
    return counter.tally


class _ResultCounter:
    """Adds results up shard by shard, as the run did: the sum of floats depends on the order."""

    def __init__(self, shards: Sequence[CompletedShard]) -> None:
        self.tally = Tally()
        self._shard_tally = Tally()
        self._shards = deque(shards)

    def read(self, results: ResultsFile, *, plain: bool) -> int:
        """Add the results up; returns the last line of the data set that is complete."""
        of_line: list[ResultLine] = []
        last_line = start = end_before = 0
        before = (0, 0)
        for number, (end, result) in enumerate(results.read(), 1):
            row = (result.line, result.sample)
            if row <= before:
                raise DataSetError(_out_of_order(results, number, result))
            before = row
            if of_line and result.line != of_line[0].line:
                self._add(of_line)
                last_line, of_line, start = of_line[0].line, [], end_before
            of_line.append(result)
            end_before = end
        if of_line and (plain or self._is_complete(of_line)):
            self._add(of_line)
            last_line = of_line[0].line
        elif of_line:  # more samples of this line may be missing
            results.truncate(start)
        self.tally.merge(self._shard_tally)
        return last_line

    def _is_complete(self, of_line: Sequence[ResultLine]) -> bool:
        """Whether a shard ends with this line, and has no more results."""
        self._advance_to(of_line[0].line)
        shard = self._shards[0] if self._shards else None
        rows = self._shard_tally.rows + len(of_line)
        return shard is not None and (shard.last_line, shard.results) == (of_line[0].line, rows)

    def _add(self, of_line: Sequence[ResultLine]) -> None:
        self._advance_to(of_line[0].line)
        for result in of_line:
            self._shard_tally.add(result)

    def _advance_to(self, line: int) -> None:
        """Continue with the shard of this line."""
        while self._shards and line > self._shards[0].last_line:
            self.tally.merge(self._shard_tally)
            self._shard_tally = Tally()
            self._shards.popleft()


def _out_of_order(results: ResultsFile, number: int, result: ResultLine) -> str:
    row = row_name(result.line, result.sample)
    return (
        f"{results.path}, line {number}, is the result of row {row}, which should stand before: results are "
        f"in the order of their rows, and each is there once. The file was changed. {OVERWRITE_HINT}"
    )


def _skip(results: ResultsFile, shards: Shards, wanted: CompletedShard) -> CompletedShard:
    """Skip a shard in the data set, and check that its bytes are the same."""
    shard = shards.until(wanted.last_line)
    if shard is None or not is_same(shard, wanted):
        raise DataSetError(
            f"{results.path} holds results of another run: other data, up to line "
            f"{wanted.last_line}. {OVERWRITE_HINT}"
        )
    return completed(shard, wanted.results, wanted.digest or shard.digest())
